"""One document of the API: exactly the routes of the registry, with what contracts, registry and gateway say of them."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_spec_validator import validate

from tests.conftest import ROOT
from tools import openapi
from tools.openapi import PAGE, REGISTRY, contract_of, contracts, document, public

DEFAULT, SECURED = REGISTRY.read_text(), (REGISTRY.parent / "examples/secured.toml").read_text()
# A service whose contract is in no folder here.
CATS = '[services.cats]\nroutes = [{ key = "PUT /cats/{catId}", auth = "jwt" }, { key = "GET /cats" }]'
REFUSED = {
    "swagger: '2.0'": "openapi: None",
    "openapi: 3.0.3\nx: {nullable: true}": "nullable",
    "openapi: 3.1.0\nx: {$ref: a#/x}": "a#/x",
}


def operations(api: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{method.upper()} {path}": each for path, item in api["paths"].items() for method, each in item.items()}


def test_the_document_is_current() -> None:
    assert yaml.safe_load(PAGE.read_text()) == document(tomllib.loads(DEFAULT), contracts()), "run: make openapi"


@pytest.mark.parametrize("text", [DEFAULT, SECURED, SECURED + CATS], ids=["default", "secured", "third"])
def test_the_document_is_valid_and_has_what_the_registry_and_the_contracts_have(text: str) -> None:
    registry = tomllib.loads(text)
    validate(api := document(registry, contracts()))
    routes = {route["key"]: (name, route) for name, each in registry["services"].items() for route in each["routes"]}
    kept = {key: {*each["responses"]} for contract in contracts().values() for key, each in public(contract).items()}
    assert operations(api).keys() == routes.keys()
    for key, found in operations(api).items():
        name, route = routes[key]
        own = ["429", "503", *["413"] * (key[0] == "P"), *["401", "403"] * ("auth" in route)]
        security = [{"jwt": [scope]} for scope in route.get("scopes", [])] or [{"jwt": []}] * ("auth" in route)
        assert found["responses"].keys() == {*kept.get(key, ["default"]), *own}
        throttle = route.get("throttle", registry["api"]["throttle"])
        assert [found[what] for what in ("tags", "security", "x-throttle")] == [[name], security, throttle]
        in_path = [each["name"] for each in found.get("parameters", []) if each["in"] == "path"]
        assert in_path == re.findall(r"{(\w+)}", key)


def test_an_answer_of_the_service_or_of_the_gateway_may_be_either() -> None:
    answer = operations(yaml.safe_load(PAGE.read_text()))["POST /todo"]["responses"]["503"]
    names = [each["$ref"].rpartition("/")[2] for each in answer["content"]["application/json"]["schema"]["anyOf"]]
    assert (names, answer["headers"]["Retry-After"]["required"]) == (["todo.Error", "gateway.Message"], False)


def test_names_of_two_contracts_keep_their_meanings() -> None:
    dogs = openapi.read(ROOT / "ecs-provider/openapi.yaml")
    cats = json.loads(json.dumps(dogs).replace("/dogs", "/cats").replace("Luna", "Tom"))
    services = {name: {"routes": [{"key": f"GET /{name}"}]} for name in ("dogs", "cats")}
    api = document({"api": {"throttle": {"rate": 1, "burst": 1}}, "services": services}, {"a": dogs, "b": cats})
    validate(api)
    for name, example in (("dogs", "Luna"), ("cats", "Tom")):
        assert operations(api)[f"GET /{name}"]["operationId"] == f"{name}.getDog"
        body = api["components"]["responses"][f"{name}.Dog"]["content"]["application/json"]
        assert (body["example"]["name"], body["schema"]["$ref"]) == (example, f"#/components/schemas/{name}.Dog")


def test_of_two_contracts_with_a_route_the_title_decides() -> None:
    two = {name: {"info": {"title": name}, "paths": {"/x": {"get": {}}}} for name in ("dogs", "cats")}
    assert contract_of("cats", {"routes": [{"key": "GET /x"}]}, two) == "cats"
    with pytest.raises(SystemExit, match="dogs and cats have routes of mice, expected one"):
        contract_of("mice", {"routes": [{"key": "GET /x"}]}, two)


@pytest.mark.parametrize("contract", REFUSED)
def test_fails_when_a_contract_cannot_be_merged(contract: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openapi, "ROOT", tmp_path)
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats/app.py").touch()
    (tmp_path / "cats/openapi.yaml").write_text(contract)
    with pytest.raises(SystemExit, match=f"cats/openapi.yaml has {REFUSED[contract]}, expected OpenAPI 3.1"):
        contracts()
