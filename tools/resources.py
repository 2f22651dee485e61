"""The properties of a template's resources: tools/resources.toml says which are told, which are harmless; others are refused."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tools.template import TemplateError

CATALOG: dict[str, dict[str, Any]] = tomllib.loads((Path(__file__).parent / "resources.toml").read_text())
SECTIONS, ATTRIBUTES = CATALOG.pop("sections"), CATALOG.pop("attributes")

Paths = dict[str, str]  # path → told or harmless


class Resource(NamedTuple):
    """`told` has the shape of the template, with texts for values and without the harmless properties."""

    logical_id: str
    type: str
    told: Any

    @property
    def properties(self) -> Any:
        return self.told.get("Properties", {})


def known(type: str) -> Paths:
    """The paths of a resource of the type."""
    return paths(ATTRIBUTES) | paths(CATALOG[type], "Properties.")


def paths(entry: dict[str, Any], above: str = "") -> Paths:
    return {f"{above}{path}": column for column in ("told", "harmless") for path in entry.get(column, "").split()}


def read(document: dict[str, Any]) -> list[Resource]:
    """The template's other sections as one resource, then all resources; TemplateError for what is not in the list."""
    sections = {name: value for name, value in document.items() if name != "Resources"}
    found = [Resource("template", "", _told(sections, "template", paths(SECTIONS)))]
    for logical_id, body in document["Resources"].items():
        type = body.get("Type")
        where = f"{logical_id} ({type})"
        if type not in CATALOG:
            raise TemplateError(f"{where}: tools/resources.toml does not know the type")
        found.append(Resource(logical_id, type, _told(body, where, known(type))))
    return found


def _told(value: Any, where: str, known: Paths, path: str = "") -> Any:
    """The told parts of a value; None if the value is harmless."""
    if known.get(path) == "harmless" and "Fn::Transform" not in json.dumps(value):
        return None
    if known.get(path) == "told":
        return _texts(value, f"{where}: {path}")
    above = f"{path}." if path else ""
    if isinstance(value, dict | list) and any(other.startswith(above) for other in known):
        if isinstance(value, list):
            return [_told(element, where, known, path) for element in value]
        read = {name: _told(inner, where, known, above + name) for name, inner in value.items()}
        return {name: inner for name, inner in read.items() if inner is not None}
    raise TemplateError(f"{where}: {path} is neither told nor harmless in tools/resources.toml")


def _texts(value: Any, where: str) -> Any:
    """The value with a text in place of each number, boolean and function; the text of a reference is that of Fn::Sub."""
    match value:
        case str():
            # The key of an asset changes with every build.
            return re.sub(r"\b[0-9a-f]{64}(?=\.(zip|gz)\b)", "<sha256>", value.replace("${", "${!"))
        case list():
            return [_texts(element, where) for element in value]
        case dict():
            table = {name: _texts(inner, f"{where}.{name}") for name, inner in value.items()}
        case _:
            return json.dumps(value)
    match [*table.items()]:
        case [("Ref", str(name))]:
            return f"${{{name}}}"
        case [("Fn::GetAtt", [str(logical_id), str(attribute)])]:
            return f"${{{logical_id}.{attribute}}}"
        case [("Fn::Select", [str(index), str(selected)])]:
            return f"{selected}[{index}]"
        case [("Fn::Base64", str(plain))]:
            return plain
        case [("Fn::Join", [str(separator), list(texts)])] if all(isinstance(text, str) for text in texts):
            return separator.join(texts)
    if any(name == "Ref" or name.startswith("Fn::") for name in table):
        raise TemplateError(f"{where} has {', '.join(table)}, which is not known here")
    return table


def items(told: Any) -> Iterable[tuple[Any, Any]]:
    """The names and values of a table, the indices and elements of a list, nothing of a text."""
    return told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()


def flat(told: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The path and text of each value; of a script, such as user data, its fingerprint."""
    if isinstance(told, str):
        lines = told.count("\n")
        yield path, f"<{lines} lines, sha256 {hashlib.sha256(told.encode()).hexdigest()}>" if lines else told
    elif not told:
        yield path, json.dumps(told)
    for name, inner in items(told):
        yield from flat(inner, f"{path}.{name}".strip("."))
