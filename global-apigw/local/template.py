"""Reads CloudFormation templates, for the local API and for tools/ at the root."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, cast


class TemplateError(ValueError):
    """A resource or property that is missing or that the reader does not know; names the resource."""


class Resource(NamedTuple):
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
        self._resources = {
            logical_id: Resource(logical_id, body["Type"], body.get("Properties", {}), tuple(body.get("DependsOn", ())))
            for logical_id, body in document["Resources"].items()
        }

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._resources.values())

    def of_type(self, *types: str) -> list[Resource]:
        return [resource for resource in self if resource.type in types]

    def follow(self, reference: Any, *types: str) -> Resource:
        """The resource that a Ref or a Fn::GetAtt points at, which must be one of `types`."""
        match reference:
            case {"Ref": str(logical_id)} | {"Fn::GetAtt": [str(logical_id), str()]}:
                resource = self._resources.get(logical_id)
            case _:
                raise TemplateError(f"expected a reference to {' or '.join(types)}, got {json.dumps(reference)}")
        if resource is None or resource.type not in types:
            found = resource.type if resource else "no resource of the template"
            raise TemplateError(f"{logical_id}: expected {' or '.join(types)}, found {found}")
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
