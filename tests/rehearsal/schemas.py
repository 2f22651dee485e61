"""What a change of a property means, by CloudFormation's own resource schemas, which cfn-lint ships."""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .environment import REGION


@cache
def schema(type: str) -> dict[str, Any]:
    """Empty for a type that cfn-lint does not ship, such as a custom resource."""
    found = find_spec("cfnlint")  # whose import takes seconds
    assert found and found.submodule_search_locations
    schemas = Path(found.submodule_search_locations[0], "data/schemas")
    name = json.loads((schemas / f"providers/{REGION}.json").read_text()).get(type)
    return json.loads((schemas / f"resources/{name}.json").read_text()) if name else {}


def create_only(type: str) -> list[list[str]]:
    """The paths of the properties that only a new resource can have."""
    # When the conditional ones need a new resource, the schemas do not tell: the worse case counts.
    kinds = ("createOnlyProperties", "conditionalCreateOnlyProperties")
    return [path.split("/")[2:] for kind in kinds for path in schema(type).get(kind, [])]


def changed(old: dict[str, Any], new: dict[str, Any]) -> set[str]:
    """The names of the properties that differ."""
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def at(value: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(value, list):
            return [at(item, path) for item in value]
        value = value.get(part) if isinstance(value, dict) else None
        path = path[1:]
    return value


def needs_replacement(type: str, old: dict[str, Any], new: dict[str, Any]) -> bool:
    return any(at(old, path) != at(new, path) for path in create_only(type))


def identifies(type: str, old: dict[str, Any], new: dict[str, Any]) -> bool:
    """The name that the template gives is the same: the new resource would need the name of the old one."""
    names = [path.split("/")[2] for path in schema(type).get("primaryIdentifier", [])]
    return bool(names) and all(name in new and old.get(name) == new[name] for name in names)
