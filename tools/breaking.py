"""What a new document of the API takes from the clients of the old one. breaking() compares, and calls nobody."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools.openapi import Part, follow, operations

TEXTS: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
GIVEN, ASKED = TEXTS["given"], TEXTS["asked"]
DEPTH = 12  # a schema may be a part of itself


class Fact(NamedTuple):
    """A keyword of JSON Schema about a place in a request or in an answer."""

    place: str
    kind: str
    value: str

    def covers(self, other: "Fact") -> bool:
        """Whether this says as much: a smaller maximum covers a larger one."""
        if self[:2] != other[:2] or not (bound := re.search(" (max|min)", self.kind)):
            return self == other
        return self == other or (float(self.value) < float(other.value)) == (bound[1] == "max")


def breaking(before: Part, after: Part) -> Iterator[str]:
    """A sentence for each change that breaks a client. A path parameter may get another name."""
    names = re.compile(r"\{\w+\}")
    new = {names.sub("{}", key): operation for key, operation in operations(after).items()}
    for key, operation in operations(before).items():
        if (shape := names.sub("{}", key)) not in new:
            yield f"{key} is removed"
            continue
        old, now = {*_facts(before, operation)}, {*_facts(after, new[shape])}
        lost, places = {fact for fact in old - now if fact.kind in GIVEN}, {fact.place for fact in old}
        # One sentence for what is removed with all that was in it. What is new as a whole asks only whether it is needed.
        gone = {f"{fact.place} > {fact.value}" for fact in lost if fact.kind.endswith("properties")}
        told = {
            fact: GIVEN[fact.kind]
            for fact in lost
            if not any(f"{fact.place} > ".startswith(f"{place} > ") for place in gone)
            and (fact.kind.endswith("properties") or f"{fact.place} > {fact.value}" not in gone)
        }
        gained = {fact for fact in now - old if fact.kind in ASKED and fact.place in places}
        told |= {fact: ASKED[fact.kind] for fact in gained if not any(each.covers(fact) for each in old)}
        yield from sorted(f"{key}: {fact.place} {text.format(fact.value)}" for fact, text in told.items())


def _facts(api: Part, operation: Part) -> Iterator[Fact]:
    """The operation as two objects: all that is sent, and all that is answered."""
    for need in operation.get("security") or [{}]:
        scopes = "".join(f" with the scope {scope}" for each in need.values() for scope in each)
        means = " and ".join(f"a {name.replace('jwt', 'token')}" for name in need)
        yield Fact("the request", "request token", f"with {means}{scopes}" if need else "without credentials")
    sent = {f"{each['in']} parameter {each['name']}": each for each in operation["parameters"] if each["in"] != "path"}
    bodies = follow(api, operation.get("requestBody", {})).get("content", {})
    yield from _schema(api, "request", "the request", _object(sent | {f"body {kind}": bodies[kind] for kind in bodies}))
    answers = {}
    for status, each in operation["responses"].items():
        answer = follow(api, each)
        headers = {f"header {name}": follow(api, header) for name, header in answer.get("headers", {}).items()}
        answers[status] = {"schema": _object(answer.get("content", {}) | headers)}
    yield from _schema(api, "response", "the answer", _object(answers))


def _object(parts: Part) -> Part:
    schemas = {name: part.get("schema", {}) for name, part in parts.items()}
    return {"properties": schemas, "required": [name for name, part in parts.items() if part.get("required")]}


def _schema(api: Part, side: str, place: str, schema: Part) -> Iterator[Fact]:
    schema = follow(api, schema)
    if place.count(">") > DEPTH:
        return
    every = [{*_schema(api, side, place, each)} for each in schema.get("allOf", [])]
    either = [{*_schema(api, side, place, each)} for each in schema.get("anyOf") or schema.get("oneOf") or []]
    own = set.intersection(*either) | {fact for fact in set.union(*either) if _is_value(fact)} if either else set()
    for key, value in schema.items():
        own |= {
            Fact(place, f"{side} {key}", str(each)) for each in (value if isinstance(value, list | dict) else [value])
        }
        own.add(Fact(place, f"{side} lists {key}", ""))
    parts = {**schema.get("properties", {}), **({"each item": schema["items"]} if "items" in schema else {})}
    for name, each in parts.items():
        own |= {*_schema(api, side, f"{place} > {name}", each)}
    for fact in own.union(*every):
        # A value must be one of each part that has values.
        if not _is_value(fact) or all(
            fact in part or not any(fact[:2] == each[:2] for each in part) for part in [own, *every]
        ):
            yield fact


def _is_value(fact: Fact) -> bool:
    return fact.kind.endswith((" type", " enum")) and " lists " not in fact.kind
