"""Changes of the API's document, and what `make diff` says of each to break a client."""

import copy
import json
from typing import Any

import pytest
import yaml

from tools.breaking import breaking
from tools.openapi import PAGE, read

DOCUMENT = yaml.safe_load(PAGE.read_text())
GONE = object()
DOG, NEW_TODO, TODO = (f"components schemas {name}" for name in ("Dog", "NewTodo", "Todo"))
LIST, LIMIT = "paths /todo get parameters", "paths /todo get parameters 0"
JSON, FORM = "body application/json", "body application/x-www-form-urlencoded"
OTHER = {"name": "order", "in": "query", "schema": {"type": "string", "maxLength": 9}}
SAFE: list[str] = []


def dogs(text: str) -> list[str]:
    """The schema of a dog is that of three routes."""
    return [
        f"GET {path}: the answer > 200 > application/json{text}" for path in ("/dogs", "/dogs/females", "/dogs/males")
    ]


def bodies(text: str) -> list[str]:
    return [f"POST /todo: the request > {kind}{text}" for kind in (JSON, FORM)]


# Where in the document, the new value, what is said.
TABLE: list[tuple[str, Any, list[str]]] = [
    ("paths /dogs/males", GONE, ["GET /dogs/males is removed"]),
    ("paths /todo post", GONE, ["POST /todo is removed"]),
    ("paths /cats", {"get": {"responses": {"200": {"description": "A cat."}}}}, SAFE),
    (LIMIT, GONE, ["GET /todo: the request takes no query parameter limit any more"]),
    (f"{LIMIT} required", True, ["GET /todo: the request needs query parameter limit"]),
    (f"{LIMIT} schema maximum", 50, ["GET /todo: the request > query parameter limit may be at most 50"]),
    (f"{LIMIT} schema maximum", 500, SAFE),
    (f"{LIMIT} schema minimum", 2, ["GET /todo: the request > query parameter limit must be at least 2"]),
    (f"{LIMIT} schema minimum", 0, SAFE),
    (
        f"{LIMIT} schema enum",
        [20],
        ["GET /todo: the request > query parameter limit may be nothing but the listed values"],
    ),
    (f"{LIST} 2", OTHER, SAFE),
    (f"{LIST} 2", OTHER | {"required": True}, ["GET /todo: the request needs query parameter order"]),
    (f"{NEW_TODO} properties due", {"type": "string", "format": "date"}, SAFE),
    (f"{NEW_TODO} required", ["data", "due"], bodies(" needs due")),
    (f"{NEW_TODO} properties data", GONE, bodies(" takes no data any more")),
    (f"{NEW_TODO} properties data type", "integer", bodies(" > data may be no string any more")),
    (f"{NEW_TODO} properties data maxLength", 10, bodies(" > data may have at most 10 characters")),
    (
        "paths /todo post requestBody content application/json",
        GONE,
        [f"POST /todo: the request takes no {JSON} any more"],
    ),
    ("paths /todo/{todoId} get responses 404", GONE, ["GET /todo/{todoId}: the answer has no 404 any more"]),
    ("paths /dogs get responses 404", {"description": "No dog."}, SAFE),
    (f"{DOG} properties gender enum", ["male"], SAFE),
    (f"{DOG} properties gender enum", ["male", "female", "none"], dogs(" > gender may be none")[:1]),
    (f"{DOG} properties age", {"type": "integer"}, SAFE),
    (f"{DOG} required", ["gender"], dogs(" may lack name")),
    (f"{DOG} properties name", GONE, dogs(" has no name any more")),
    (
        f"{TODO} properties id type",
        "integer",
        [
            "GET /todo/{todoId}: the answer > 200 > application/json > id may be integer",
            "GET /todo: the answer > 200 > application/json > each item > id may be integer",
            "POST /todo: the answer > 201 > application/json > id may be integer",
        ],
    ),
    (
        "paths /todo get responses 503 content application/json schema anyOf 2",
        {"type": "object"},
        ["GET /todo: the answer > 503 > application/json has no message any more"],
    ),
    ("paths /todo post responses 201 headers", GONE, ["POST /todo: the answer > 201 has no header Location any more"]),
    ("paths /dogs get security", [{"jwt": ["dogs.read"]}], ["GET /dogs: the request is refused without credentials"]),
    ("paths /dogs get security", [{"certificate": []}], ["GET /dogs: the request is refused without credentials"]),
    ("paths /dogs get description", "Woof.", SAFE),
]


def changed(document: Any, path: str, value: Any) -> Any:
    """A copy with another value at a path; a number names an item of a list."""
    found = (document := copy.deepcopy(document))
    *way, last = [int(word) if word.isdecimal() and len(word) == 1 else word for word in path.split()]
    for word in way:
        found = found[word]
    if value is GONE:
        del found[last]
    elif isinstance(found, list):
        found.append(value)
    else:
        found[last] = value
    return document


@pytest.mark.parametrize(("path", "value", "said"), TABLE, ids=[f"{path}={value}"[:60] for path, value, _ in TABLE])
def test_a_change_that_breaks_a_client_is_named_and_no_other(path: str, value: Any, said: list[str]) -> None:
    before, after = (read(json.dumps(each)) for each in (DOCUMENT, changed(DOCUMENT, path, value)))
    assert sorted(breaking(before, after)) == sorted(said)


def test_a_path_parameter_may_get_another_name_and_a_scope_may_not() -> None:
    text = PAGE.read_text()
    assert [*breaking(read(text), read(text.replace("todoId", "id")))] == SAFE
    one, two = (
        text.replace("security: []", f"security: {needs}", 1) for needs in ("[{jwt: [a]}]", "[{jwt: [a]}, {jwt: [b]}]")
    )
    assert [*breaking(read(one), read(two))] == SAFE
    assert [*breaking(read(two), read(one))] == ["GET /dogs: the request is refused with a token with the scope b"]
    mutual = one.replace("jwt: [a]", "jwt: [a], certificate: []")
    assert [*breaking(read(one), read(mutual))] == ["GET /dogs: the request is refused with a token with the scope a"]


def test_a_schema_may_be_a_part_of_itself() -> None:
    tree = json.dumps(changed(DOCUMENT, f"{DOG} properties puppy", {"$ref": "#/components/schemas/Dog"}))
    assert [*breaking(read(tree), read(tree))] == SAFE
