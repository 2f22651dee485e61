"""Every property of every resource of a template: told, harmless or refused, as tools/resources.toml has it."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tools.template import TemplateError

LIST = Path(__file__).parent / "resources.toml"
CATALOG: dict[str, dict[str, Any]] = tomllib.loads(LIST.read_text())
SECTIONS, ATTRIBUTES = CATALOG.pop("sections"), CATALOG.pop("attributes")


def paths(type: str, column: str) -> list[str]:
    """The paths of a resource of the type that are `told` or `harmless`."""
    below = [f"Properties.{path}" for path in CATALOG[type].get(column, "").split()]
    return [*ATTRIBUTES[column].split(), *below]


class Resource(NamedTuple):
    """`told` has the shape of the template, with texts for values and without what is harmless."""

    logical_id: str
    type: str
    told: Any

    @property
    def properties(self) -> dict[str, Any]:
        properties: dict[str, Any] = self.told.get("Properties", {})
        return properties

    def rows(self) -> list[str]:
        """A line for each value: logical id, path and text."""
        return [f"{self.logical_id} {path} {text}" for path, text in flat(self.told)]


def read(document: dict[str, Any]) -> list[Resource]:
    """All resources, and first the template's other sections; TemplateError for what tools/resources.toml has not."""
    sections = {name: value for name, value in document.items() if name != "Resources"}
    told, harmless = SECTIONS["told"].split(), SECTIONS["harmless"].split()
    found = [Resource("template", "", _Reader("template", told, harmless).table(sections))]
    for logical_id, body in document["Resources"].items():
        type = body.get("Type")
        where = f"{logical_id} ({type})"
        if type not in CATALOG:
            raise TemplateError(f"{where}: tools/resources.toml does not know the type")
        reader = _Reader(where, paths(type, "told"), paths(type, "harmless"))
        found.append(Resource(logical_id, type, reader.table(body)))
    return found


def text(value: Any) -> str | None:
    """One value as a text, references as Fn::Sub writes them; None for a list or a table."""
    match value:
        case str():
            # The key of an asset changes with every build.
            return re.sub(r"\b[0-9a-f]{64}(?=\.(zip|gz)\b)", "<sha256>", value.replace("${", "${!"))
        case bool() | int() | float() | None:
            return json.dumps(value)
        case {"Ref": str(name)} if len(value) == 1:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [str(logical_id), str(attribute)]} if len(value) == 1:
            return f"${{{logical_id}.{attribute}}}"
        case {"Fn::Select": [int(index), selected]} if len(value) == 1 and (list_ := text(selected)):
            return f"{list_}[{index}]"
        case {"Fn::Base64": inner} if len(value) == 1 and (plain := text(inner)):
            return plain
        case {"Fn::Join": [str(separator), list(parts)]} if len(value) == 1:
            texts = [part for part in map(text, parts) if part is not None]
            return separator.join(texts) if len(texts) == len(parts) else None
    return None


class _Reader:
    """Sorts the values of one resource, `where`, by the paths that are told and harmless."""

    def __init__(self, where: str, told: list[str], harmless: list[str]) -> None:
        self.where, self.told, self.harmless = where, told, harmless

    def table(self, value: dict[str, Any], path: str = "") -> dict[str, Any]:
        read = {name: self.value(inner, f"{path}.{name}".strip(".")) for name, inner in value.items()}
        return {name: inner for name, inner in read.items() if inner is not None}

    def value(self, value: Any, path: str) -> Any:
        """What is told of the value; None if it is harmless."""
        if path in self.harmless and "Fn::Transform" not in json.dumps(value):
            return None
        if path in self.told:
            return self.texts(value, path)
        above = any(known.startswith(f"{path}.") for known in (*self.told, *self.harmless))
        if above and isinstance(value, dict):
            return self.table(value, path)
        if above and isinstance(value, list):
            return [self.value(element, path) for element in value]
        raise TemplateError(f"{self.where}: {path} is neither told nor harmless in tools/resources.toml")

    def texts(self, value: Any, path: str) -> Any:
        """All of the value."""
        if (found := text(value)) is not None:
            return found
        if isinstance(value, list):
            return [self.texts(element, path) for element in value]
        if any(name == "Ref" or name.startswith("Fn::") for name in value):
            raise TemplateError(f"{self.where}: {path} has {', '.join(value)}, which is not known here")
        return {name: self.texts(inner, f"{path}.{name}") for name, inner in value.items()}


def flat(told: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The path and text of each value."""
    if isinstance(told, str):
        lines = told.count("\n")
        # Of a script, such as user data, its fingerprint.
        yield path, f"<{lines} lines, sha256 {hashlib.sha256(told.encode()).hexdigest()}>" if lines else told
    elif not told:
        yield path, json.dumps(told)
    else:
        for name, inner in told.items() if isinstance(told, dict) else enumerate(told):
            yield from flat(inner, f"{path}.{name}".strip("."))
