"""Writes what the API offers as one OpenAPI document: python -m tools.openapi REGISTRY PATH.

The registry says which routes there are, who may call them and how often. openapi.yaml of a provider's folder says what its
routes take and answer; openapi.yaml here says what the gateway itself answers.
"""

import json
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.synth import ROOT

Part = dict[str, Any]
PAGE, REGISTRY = ROOT / "docs/openapi.yaml", ROOT / "global-apigw/services.toml"
HEAD = "# `make openapi` writes this file from the registry and the contracts of the services.\n"
# In JSON: a component by reference, and a name that a document has once. Of a component it is the reference to it.
COMPONENT = re.compile(r'(?<!\\)"(#/components/[^"]+)"')
NAME = re.compile(r'(?<!\\)"(#/components/\w+/|operationId": ")([^"]+)')


def read(path: Path) -> Part:
    """A document as JSON has it, with its components by reference."""
    document: Part = json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))
    sections = document.get("components", {}).items()
    components = {f"#/components/{section}/{name}": part for section, parts in sections for name, part in parts.items()}
    return {**document, "components": components}


def problems(contract: Part) -> Iterator[str]:
    """Why a contract cannot be merged."""
    text = json.dumps(contract)
    if not re.match(r"3\.[01]\.", version := str(contract.get("openapi"))):
        yield f"is OpenAPI {version}, expected 3.0 or 3.1"
    for key in re.findall(r'(?<!\\)"(nullable|exclusiveM\w+)": (?:true|false)', text):
        yield f"has a {key} that is true or false, expected what OpenAPI 3.1 has instead"
    for reference in re.findall(r'(?<!\\)"\$ref": "([^"]*)', text):
        if reference not in contract["components"]:
            yield f"refers to {reference}, expected one of its own components"


def contracts() -> dict[str, Part]:
    """The contracts of the providers that are here, by path."""
    paths = [path for path in sorted(ROOT.glob("*/openapi.yaml")) if path.with_name("app.py").exists()]
    found = {str(path.relative_to(ROOT)): read(path) for path in paths}
    for path, contract in found.items():
        for problem in problems(contract):
            sys.exit(f"error: {path} {problem}")
    return found


def follow(document: Part, part: Part) -> Part:
    """The component that a reference leads to, or the part itself."""
    while "$ref" in part:
        part = document["components"][part["$ref"]]
    return part


def public(contract: Part) -> dict[str, Part]:
    """The operations that are not internal, by route key; each has the parameters of its path too."""
    found = {}
    for path, item in contract.get("paths", {}).items():
        for method, operation in item.items():
            if "responses" in operation and not operation.get("x-internal"):
                listed = [*item.get("parameters", []), *operation.get("parameters", [])]
                unique = {(each["name"], each["in"]): each for each in (follow(contract, each) for each in listed)}
                found[f"{method.upper()} {path}"] = {**operation, "parameters": [*unique.values()]}
    return found


def contract_of(name: str, service: Part, contracts: dict[str, Part]) -> str:
    """The path of the contract that has a route of the service; of several, the one with the service's name as title."""
    keys = {route["key"] for route in service["routes"]}
    found = [path for path, contract in contracts.items() if keys & public(contract).keys()]
    found = [path for path in found if contracts[path]["info"]["title"] == name] or found
    if len(found) > 1:
        sys.exit(f"error: {' and '.join(found)} have routes of {name}, expected one of them with the title {name}")
    return "".join(found)


def either(api: Part, service: Part, own: Part) -> Part:
    """The answer of a status that both the service and the gateway give."""
    [(kind, body)] = own["content"].items()
    content = {kind: body, **service.get("content", {})}
    if content[kind] is not body and "schema" in content[kind]:
        content[kind] = {**content[kind], "schema": {"anyOf": [content[kind]["schema"], body["schema"]]}}
    headers = {name: {**follow(api, each), "required": False} for name, each in service.get("headers", {}).items()}
    text = f"{service['description']} Or, from the gateway: {own['description']}"
    return {"description": text, "content": content, **({"headers": headers} if headers else {})}


def operation(api: Part, route: Part, throttle: Part, known: Part | None) -> Part:
    """What the contract knows, or else the registry, with the limit, the authorization and the answers of the gateway."""
    method, path = route["key"].split()
    simple = {"in": "path", "required": True, "schema": {"type": "string"}}
    bare = {"parameters": [{"name": name, **simple} for name in re.findall(r"{(\w+)}", path)], "responses": {}}
    given: Part = known or bare
    answers, secured = given["responses"], route.get("auth") == "jwt"
    has_body = "requestBody" in given if known else method in ("POST", "PUT", "PATCH")
    responses = dict(answers) if known else {"default": {"description": "What the service answers."}}
    for status in ["401", "403"] * secured + ["413"] * has_body + ["429", "503"]:
        own = {"$ref": f"#/components/responses/gateway.{status}"}
        other = next((answers[each] for each in (status, f"{status[0]}XX", "default") if each in answers), None)
        responses[status] = either(api, follow(api, other), follow(api, own)) if other else own
    limit = f"At most {throttle['rate']:g} requests a second and {throttle['burst']} at once, of all clients together."
    # One of the scopes is enough.
    tokens = [{"jwt": [scope]} for scope in route.get("scopes", [])] or [{"jwt": []}]
    return {key: value for key, value in given.items() if value and key != "servers"} | {
        "description": f"{given.get('description', '')}\n\n{limit}".strip(),
        "responses": dict(sorted(responses.items())),
        "security": tokens if secured else [],
        "x-throttle": throttle,
    }


def renamed(text: str, service: str, shared: set[tuple[str, str]]) -> Part:
    """A contract, in which the names that another one has too start with the service's."""
    contract: Part = json.loads(
        NAME.sub(lambda name: f'"{name[1]}{service}.{name[2]}' if name.groups() in shared else name[0], text)
    )
    return contract


def sections(api: Part) -> Part:
    """The components that a route needs, by section."""
    found: Part = {}
    needed: set[str] = set()
    while new := {*COMPONENT.findall(json.dumps([api["paths"], found]))} - needed:
        needed |= new
        for section, name in (reference.split("/")[2:] for reference in sorted(new)):
            found.setdefault(section, {})[name] = api["components"][f"#/components/{section}/{name}"]
    return found


def document(registry: Part, contracts: dict[str, Part]) -> Part:
    """The API of a registry."""
    api, services = read(Path(__file__).with_suffix(".yaml")), registry["services"]
    used = {name: contract_of(name, service, contracts) for name, service in services.items()}
    texts = {path: json.dumps(contracts.get(path, {})) for path in used.values()}
    count = Counter(name for text in texts.values() for name in {*NAME.findall(text)})
    for service, path in used.items():
        contract = renamed(texts[path], service, {name for name in count if count[name] > 1})
        api["components"] |= contract.get("components", {})
        api["tags"].append({"name": service, "description": path or "Its contract is not here."})
        for route in services[service]["routes"]:
            method, place = route["key"].split()
            throttle = route.get("throttle", registry["api"]["throttle"])
            added = operation(api, route, throttle, public(contract).get(route["key"]))
            api["paths"].setdefault(place, {})[method.lower()] = added | {"tags": [service]}
    api["components"] = sections(api)
    if jwt := registry["api"].get("jwt"):
        url = f"{jwt['issuer'].rstrip('/')}/.well-known/openid-configuration"
        text = f"A token for {' or '.join(jwt['audience'])}."
        scheme = {"type": "openIdConnect", "openIdConnectUrl": url, "description": text}
        api["components"]["securitySchemes"] = {"jwt": scheme}
    return api


def text(registry: Path) -> str:
    """The document of a registry's file."""
    merged = document(tomllib.loads(registry.read_text()), contracts())
    # Through JSON, so that YAML has no aliases.
    return HEAD + yaml.safe_dump(json.loads(json.dumps(merged)), sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    registry, path = sys.argv[1:]
    if bool(registry) != bool(path):
        sys.exit(
            "error: SERVICES and TO belong together, expected a registry and the file for its document, or neither"
        )
    Path(path or PAGE).write_text(text(REGISTRY.parent / (registry or REGISTRY.name)))
