"""tools/resources.toml is the one list of resource types: whoever reads templates knows its types, and no other."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.edits import edits
from tools.cost import billed
from tools.resources import ATTRIBUTES, CATALOG, SECTIONS, paths
from tools.synth import FOLDERS, Document, local
from tools.template import Resource, Template, TemplateError

pytestmark = pytest.mark.slow


def used(value: Any) -> Iterator[str]:
    """The paths that a value has, also those of its parts."""
    for path, _ in edits(value):
        yield ".".join(path)


def test_the_list_has_what_the_templates_use_and_no_more(variants: list[tuple[str, str, Document]]) -> None:
    # A line that nothing uses lets something in that nobody has looked at.
    documents = [*map(local, FOLDERS), *(document for _, _, document in variants)]
    resources = [body for document in documents for body in document["Resources"].values()]
    assert {body["Type"] for body in resources} == CATALOG.keys()
    for type in CATALOG:
        found = {path for body in resources if body["Type"] == type for path in used(body)}
        assert {path for path in paths(CATALOG[type], "Properties.") if path not in found} == set(), type
    for entry, users, apart in ((ATTRIBUTES, resources, "Properties"), (SECTIONS, documents, "Resources")):
        assert paths(entry).keys() == {name for user in users for name in user} - {apart}


@pytest.mark.parametrize("type", CATALOG)
def test_the_cost_knows_every_type(type: str) -> None:
    try:
        has_a_price = bool(list(billed(Template({"Resources": {}}), Resource("Thing", type, {}))))
    except TemplateError as error:  # the price depends on a property
        has_a_price = "is missing" in str(error)
    assert has_a_price != CATALOG[type].get("free", False)


def test_the_local_api_reads_the_types_that_the_list_says() -> None:
    code = "import json; from local.http_api import KNOWN_TYPES; print(json.dumps(sorted(KNOWN_TYPES)))"
    folder = ROOT / "global-apigw"
    known = subprocess.check_output([folder / ".venv/bin/python", "-c", code], cwd=folder, text=True)
    assert json.loads(known) == sorted(type for type, entry in CATALOG.items() if entry.get("api"))


def test_the_rehearsal_makes_every_type_and_has_a_binding_for_no_other() -> None:
    # Imported here: moto takes seconds.
    from tests.rehearsal.bindings import BINDINGS, resource_class

    for type in CATALOG:
        assert resource_class(type), type
    assert BINDINGS.keys() - CATALOG.keys() == {"AWS::S3::BucketPolicy"}  # of the bootstrap stack
