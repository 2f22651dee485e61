"""The reader of CloudFormation templates, also of tools/ at the root.

Properties are taken one by one and what is left over is an error, so that nothing in a template is silently ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

_REQUIRED: Any = object()


class TemplateError(Exception):
    """A resource or property that is missing or that the reader does not know; names the resource."""


@dataclass(frozen=True)
class Target:
    """What a Ref (attribute None) or Fn::GetAtt points at."""

    logical_id: str
    attribute: str | None


class Properties:
    """The properties of one resource, or of a table inside one, taken one by one; close() refuses the rest."""

    def __init__(self, where: str, values: dict[str, Any]) -> None:
        self.where, self._values = where, dict(values)

    def __enter__(self) -> Properties:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()

    def take(self, name: str, default: Any = _REQUIRED) -> Any:
        """The value of `name`; TemplateError when it is missing and has no default."""
        if name in self._values:
            return self._values.pop(name)
        if default is _REQUIRED:
            raise TemplateError(f"{self.where}: property {name} is missing")
        return default

    def expect(self, name: str, *expected: Any) -> Any:
        """Take `name`, whose value must be one of `expected`."""
        value = self.take(name)
        if value not in expected:
            known = ", ".join(map(repr, expected))
            raise TemplateError(f"{self.where}: {name} is {value!r}, known here: {known}")
        return value

    def table(self, name: str, default: Any = _REQUIRED) -> Properties:
        """Take `name` as a table of properties of its own."""
        return self._table(self.take(name, default), name)

    def tables(self, name: str, default: Any = _REQUIRED) -> list[Properties]:
        """Take `name` as a list of tables."""
        values = self.take(name, default)
        return [self._table(value, name, str(index)) for index, value in enumerate(values)]

    def _table(self, value: Any, *path: str) -> Properties:
        if not isinstance(value, dict):
            raise TemplateError(f"{self.where}: {'.'.join(path)} is {value!r}, expected a table")
        return Properties(f"{self.where} {'.'.join(path)}", value)

    def names(self) -> list[str]:
        """The keys of a table whose keys are data, not names of properties."""
        return list(self._values)

    def ignore(self, *names: str) -> None:
        """Properties that are known and change nothing for this reader."""
        for name in names:
            self.take(name, None)

    def close(self) -> None:
        if self._values:
            raise TemplateError(f"{self.where}: unknown property {', '.join(sorted(self._values))}")


@dataclass(frozen=True)
class Resource:
    """One resource as written: `properties` is plain JSON."""

    logical_id: str
    type: str
    properties: dict[str, Any]
    depends_on: tuple[str, ...] = ()


class Template:
    """A synthesized template."""

    def __init__(self, document: dict[str, Any]) -> None:
        if "Transform" in document:
            raise TemplateError("Transform: it could add any resource, and is not known to this reader")
        self.outputs: dict[str, Any] = document.get("Outputs", {})
        self._resources = {
            logical_id: Resource(logical_id, body["Type"], body.get("Properties", {}), tuple(body.get("DependsOn", ())))
            for logical_id, body in document["Resources"].items()
        }

    @classmethod
    def load(cls, path: Path | str) -> Template:
        return cls(json.loads(Path(path).read_text()))

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._resources.values())

    def of_type(self, *types: str) -> list[Resource]:
        return [resource for resource in self if resource.type in types]

    def read(self, resource: Resource) -> Properties:
        """The resource's properties, to be taken one by one."""
        return Properties(f"{resource.logical_id} ({resource.type})", resource.properties)

    def target(self, value: Any) -> Target:
        """What `value`, a Ref, a Fn::GetAtt or a Fn::Select from one, points at."""
        match value:
            case {"Ref": str(logical_id)}:
                return Target(logical_id, None)
            case {"Fn::GetAtt": [str(logical_id), str(attribute)]}:
                return Target(logical_id, attribute)
            case {"Fn::Select": [_, selected]}:
                return self.target(selected)
        raise TemplateError(f"expected a reference to a resource, got {json.dumps(value)}")

    def follow(self, value: Any, *types: str) -> Resource:
        """The resource that `value` points at, which must be one of `types`."""
        target = self.target(value)
        resource = self._resources.get(target.logical_id)
        if resource is None or resource.type not in types:
            found = resource.type if resource else "no resource of the template"
            raise TemplateError(f"{target.logical_id}: expected {' or '.join(types)}, found {found}")
        return resource

    def references(self, value: Any) -> set[str]:
        """The logical ids of all resources that `value` mentions, at any depth."""
        match value:
            case {"Ref": str(name)}:
                return {name} & self._resources.keys()
            case {"Fn::GetAtt": [str(logical_id), *_]}:
                return {logical_id}
            case {"Fn::Sub": _}:
                raise TemplateError("Fn::Sub is not known to this reader")
            case dict():
                return set().union(*map(self.references, cast(dict[str, Any], value).values()))
            case list():
                return set().union(*map(self.references, value))
        return set()

    def text(self, value: Any) -> str:
        """`value` as one string, with what only AWS knows written as Fn::Sub would: ${Name} or ${Name.Attribute}."""
        match value:
            case str():
                return value
            case {"Fn::Join": [str(separator), list(parts)]}:
                return separator.join(map(self.text, parts))
            case {"Ref": str(name)}:
                return f"${{{name}}}"
            case {"Fn::GetAtt": [str(logical_id), str(attribute)]}:
                return f"${{{logical_id}.{attribute}}}"
        raise TemplateError(f"expected text, got {json.dumps(value)}")

    def mentioned(self, value: Any, type: str) -> list[Resource]:
        """The resources of `type` that `value` mentions."""
        return [self._resources[name] for name in sorted(self.references(value)) if self._resources[name].type == type]
