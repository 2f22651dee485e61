"""What the next deploys change across the folders: who reaches whom, the cost a month, and what breaks a client of the API:
python -m tools.changes.

`make explain` of a folder leaves the deployed template in .local/deployed.json and the new one in cdk.out.
"""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

from tools.breaking import breaking
from tools.cost import TOTAL, costs_of, dollars
from tools.openapi import Part, document, read
from tools.reach import Network, Row
from tools.resources import read as read_resources
from tools.synth import FOLDERS, ROOT, Document
from tools.template import TemplateError


def documents(folder: str) -> tuple[Document, Document]:
    """The deployed template, empty before the first deploy, and the new one."""
    texts = [(ROOT / folder / path).read_text() for path in (".local/deployed.json", f"cdk.out/{folder}.template.json")]
    deployed, new = (json.loads(text) or {"Resources": {}} for text in texts)
    return deployed, new


def flows(document: Document) -> set[Row]:
    """From, port, to. The CDK CLI writes paths of constructs into the metadata of resources, which open nothing."""
    bodies: dict[str, dict[str, Any]] = document["Resources"]
    resources = {id: {key: body[key] for key in body if key != "Metadata"} for id, body in bodies.items()}
    return {*Network(read_resources({**document, "Resources": resources})).flows()}


def api(templates: dict[str, Document]) -> Part | None:
    """The document of the API that the templates remember; None if one remembers nothing, or was not deployed."""
    texts = {folder: template.get("Metadata", {}).get("Contract", "") for folder, template in templates.items()}
    if not all(texts.values()):
        return None
    registry = tomllib.loads(texts.pop("global-apigw"))
    return read(
        json.dumps(document(registry, {f"{folder}/openapi.yaml": read(text) for folder, text in texts.items()}))
    )


def changes() -> Iterator[str]:
    compared = {folder: documents(folder) for folder in FOLDERS}
    try:
        for folder, templates in compared.items():
            before, after = map(flows, templates)
            for sign, rows in (("+", after - before), ("-", before - after)):
                yield from (
                    f"{sign} {folder}: {source} reaches {to} on port {port}" for source, port, to in sorted(rows)
                )
        deployed, new = (costs_of({name: pair[at] for name, pair in compared.items()})[TOTAL] for at in (0, 1))
        yield f"idle cost a month: {dollars(deployed)} USD deployed, {dollars(new)} USD after"
    except TemplateError as error:
        yield f"not compared: {error}"
    yield from clients(*({name: pair[at] for name, pair in compared.items()} for at in (0, 1)))


def clients(deployed: dict[str, Document], new: dict[str, Document]) -> Iterator[str]:
    """What breaks a client of the deployed API; it informs, and stops no deploy."""
    if not ((before := api(deployed)) and (after := api(new))):
        yield "clients of the API: not compared, because not all three stacks are deployed with their contracts"
        return
    broken = [*breaking(before, after)]
    yield f"clients of the API, by the deployed contracts and the new ones: {'these changes break' if broken else 'no change breaks'} them"
    yield from (f"! {line}" for line in broken)


if __name__ == "__main__":
    print("ways in and out, cost, and clients, of all three", *changes(), sep="\n  ")
