"""One document of the API: exactly the routes of the registry, with what contracts, registry and gateway say of them."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from openapi_spec_validator import validate

from tests.conftest import ROOT
from tools.openapi import PAGE, REGISTRY, contract_of, contracts, document, operations, read

DEFAULT, SECURED = REGISTRY.read_text(), (REGISTRY.parent / "examples/secured.toml").read_text()
MUTUAL, ALL = ((REGISTRY.parent / f"examples/{name}.toml").read_text() for name in ("production", "everything"))
# A service whose contract is in no folder here.
CATS = '[services.cats]\nroutes = [{ key = "PUT /cats/{catId}", auth = "jwt" }, { key = "GET /cats" }]'


def test_the_document_is_current() -> None:
    assert yaml.safe_load(PAGE.read_text()) == document(tomllib.loads(DEFAULT), contracts()), "run: make docs"
    assert "&id" not in PAGE.read_text()  # an alias of YAML


@pytest.mark.parametrize("text", [DEFAULT, SECURED, SECURED + CATS, MUTUAL, ALL])
def test_the_document_is_valid_and_has_what_the_registry_and_the_contracts_have(text: str) -> None:
    registry = tomllib.loads(text)
    validate(api := document(registry, contracts()))
    routes = {route["key"]: (name, route) for name, each in registry["services"].items() for route in each["routes"]}
    kept = {key: each["responses"] for one in map(operations, contracts().values()) for key, each in one.items()}
    schemes, mutual = api["components"].get("securitySchemes", {}), "truststore" in registry["api"].get("domain", {})
    assert schemes.pop("certificate", None) == ({"type": "mutualTLS"} if mutual else None)
    urls = [each["openIdConnectUrl"] for each in schemes.values()]
    assert urls == ["https://issuer.example.com/.well-known/openid-configuration"] * ("jwt" in registry["api"])
    assert operations(api).keys() == routes.keys()
    for key, found in operations(api).items():
        name, route = routes[key]
        own = ["429", "503", *["413"] * (key[0] == "P"), *["401", "403"] * ("auth" in route), *["403"] * mutual]
        security = [{"jwt": [scope]} for scope in route.get("scopes", [])] or [{"jwt": []}] * ("auth" in route)
        if mutual:  # beside a token
            security = [{**need, "certificate": []} for need in security or [{}]]
        assert found["responses"].keys() == {*kept.get(key, ["default"]), *own}
        throttle = route.get("throttle", registry["api"]["throttle"])
        assert [found[what] for what in ("tags", "security", "x-throttle")] == [[name], security, throttle]
        in_path = [each["name"] for each in found.get("parameters", []) if each["in"] == "path"]
        assert in_path == re.findall(r"{(\w+)}", key)


def test_an_answer_of_the_service_or_of_the_gateway_may_be_either() -> None:
    answer = operations(yaml.safe_load(PAGE.read_text()))["POST /todo"]["responses"]["503"]
    names = [each["$ref"].rpartition("/")[2] for each in answer["content"]["application/json"]["schema"]["anyOf"]]
    assert (names, answer["headers"]["Retry-After"]["required"]) == (["todo.Error", "gateway.Message"], False)


def test_contracts_with_the_same_names_are_merged() -> None:
    dogs = read((ROOT / "ecs-provider/openapi.yaml").read_text())
    dogs["paths"]["/dogs"]["parameters"] = [{"name": "q", "in": "query", "schema": {}}]
    dogs["paths"]["/dogs"]["get"]["responses"]["5XX"] = {"description": "Luna sleeps."}
    cats = json.loads(json.dumps(dogs).replace("/dogs", "/cats").replace("Luna", "Tom"))
    services = {name: {"routes": [{"key": f"GET /{name}"}]} for name in ("dogs", "cats")}
    api = document({"api": {"throttle": {"rate": 1, "burst": 1}}, "services": services}, {"a": dogs, "b": cats})
    validate(api)
    for name, example in (("dogs", "Luna"), ("cats", "Tom")):
        found = operations(api)[f"GET /{name}"]
        assert (found["operationId"], found["parameters"][0]["name"]) == (f"{name}.getDog", "q")
        assert found["responses"]["503"]["description"].startswith(f"{example} sleeps. Or, from the gateway: ")
        body = api["components"]["responses"][f"{name}.Dog"]["content"]["application/json"]
        assert (body["example"]["name"], body["schema"]["$ref"]) == (example, f"#/components/schemas/{name}.Dog")


def test_of_two_contracts_with_a_route_the_title_decides() -> None:
    two = {name: {"info": {"title": name}, "paths": {"/x": {"get": {}}}} for name in ("dogs", "cats")}
    assert contract_of("cats", {"routes": [{"key": "GET /x"}]}, two) == "cats"
    with pytest.raises(SystemExit, match="dogs and cats have routes of mice, expected one"):
        contract_of("mice", {"routes": [{"key": "GET /x"}]}, two)


def test_fails_when_a_contract_cannot_be_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.openapi.ROOT", tmp_path)
    (tmp_path / "cats").mkdir()
    for name in ("app.py", "openapi.yaml"):
        (tmp_path / "cats" / name).write_text("openapi: 2.0.0\nx: {nullable: true, $ref: other.yaml}")
    with pytest.raises(SystemExit, match=r"cats/openapi.yaml has other.yaml, nullable, openapi: 2.0.0, expected"):
        contracts()
