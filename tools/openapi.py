"""Writes what the API offers as one OpenAPI document: python -m tools.openapi REGISTRY PATH.

The registry says which routes there are, who may call them and how often. openapi.yaml of a provider's folder says what its
routes take and answer; openapi.yaml here says what the gateway itself answers.
"""

import json
import re
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from tools.synth import ROOT

Part = dict[str, Any]
PAGE, REGISTRY = ROOT / "docs/openapi.yaml", ROOT / "global-apigw/services.toml"
# In JSON, what a document has once: a component, by the reference to it, and an operation's id.
NAME = re.compile(r'"(#/components/\w+/|operationId": ")([^"\\]+)"')


def read(text: str) -> Part:
    """A document as JSON has it, with its components by reference."""
    document: Part = json.loads(json.dumps(yaml.load(text, yaml.CSafeLoader), default=str))
    sections = document.get("components", {}).items()
    components = {f"#/components/{section}/{name}": part for section, parts in sections for name, part in parts.items()}
    return {**document, "components": components}


def contracts() -> dict[str, Part]:
    """The contracts of the providers that are here, by path."""
    paths = [path for path in sorted(ROOT.glob("*/openapi.yaml")) if path.with_name("app.py").exists()]
    found = {str(path.relative_to(ROOT)): read(path.read_text()) for path in paths}
    for path, contract in found.items():
        text, version = json.dumps(contract), f"openapi: {contract.get('openapi')}"
        wrong = [each for each in re.findall(r'"\$ref": "([^"]*)"', text) if each not in contract["components"]]
        # 3.0 has these as booleans.
        wrong += re.findall(r'"(nullable|exclusiveM\w+)": (?:true|false)', text)
        wrong += [] if re.match(r"openapi: 3\.[01]\.", version) else [version]
        if wrong:
            sys.exit(f"error: {path} has {', '.join(wrong)}, expected OpenAPI 3.1 that refers to its own components")
    return found


def follow(document: Part, part: Part) -> Part:
    """The component that a reference leads to, or the part itself."""
    while "$ref" in part:
        part = document["components"][part["$ref"]]
    return part


def operations(contract: Part) -> dict[str, Part]:
    """The operations by route key; each has the parameters of its path too."""
    found = {}
    for path, item in contract.get("paths", {}).items():
        for method in {"get", "head", "post", "put", "patch", "delete", "options"} & item.keys():
            operation = {**item[method], "responses": item[method].get("responses", {})}
            listed = [*item.get("parameters", []), *operation.get("parameters", [])]
            unique = {(each["name"], each["in"]): each for each in (follow(contract, each) for each in listed)}
            found[f"{method.upper()} {path}"] = {**operation, "parameters": [*unique.values()]}
    return found


def contract_of(name: str, service: Part, contracts: dict[str, Part]) -> str:
    """The path of the contract that has a route of the service; of several, the one with the service's name as title."""
    keys = {route["key"] for route in service["routes"]}
    found = [path for path, contract in contracts.items() if keys & operations(contract).keys()]
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


def operation(api: Part, route: Part, known: Part | None) -> Part:
    """What the contract knows, or else the registry, with the limit, the authorization and the answers of the gateway."""
    (method, path), throttle = route["key"].split(), route["throttle"]
    simple = {"in": "path", "required": True, "schema": {"type": "string"}}
    bare = {"parameters": [{"name": name, **simple} for name in re.findall(r"{(\w+)}", path)], "responses": {}}
    given: Part = known or bare
    answers, secured, mutual = given["responses"], route.get("auth") == "jwt", "truststore" in route.get("domain", {})
    has_body = "requestBody" in given if known else method in ("POST", "PUT", "PATCH")
    responses = dict(answers) if known else {"default": {"description": "What the service answers."}}
    for status in ["401"] * secured + ["403"] * (secured or mutual) + ["413"] * has_body + ["429", "503"]:
        own = {"$ref": f"#/components/responses/gateway.{status}"}
        other = next((answers[each] for each in (status, f"{status[0]}XX", "default") if each in answers), None)
        responses[status] = either(api, follow(api, other), follow(api, own)) if other else own
    limit = f"At most {throttle['rate']:g} requests a second and {throttle['burst']} at once, of all clients together."
    # One of the scopes is enough; a certificate is needed beside a token.
    tokens: list[Part] = [{"jwt": [scope]} for scope in route.get("scopes", [])] or [{"jwt": []} if secured else {}]
    needs = [token | ({"certificate": []} if mutual else {}) for token in tokens]
    limits = {"description": f"{given.get('description', '')}\n\n{limit}".strip(), "x-throttle": throttle}
    answered = {"responses": dict(sorted(responses.items())), "security": [need for need in needs if need]}
    return {key: value for key, value in given.items() if value and key != "servers"} | answered | limits


def needed(api: Part) -> Part:
    """The components that the routes need, by section."""
    found: Part = {}
    known: set[tuple[str, str]] = set()
    while new := {each for each in NAME.findall(json.dumps([api["paths"], found])) if each[0][0] == "#"} - known:
        known |= new
        for start, name in sorted(new):
            found.setdefault(start.split("/")[2], {})[name] = api["components"][start + name]
    return found


def document(registry: Part, contracts: dict[str, Part]) -> Part:
    """The API of a registry."""
    api, services = read(Path(__file__).with_suffix(".yaml").read_text()), registry["services"]
    used = {name: contract_of(name, service, contracts) for name, service in services.items()}
    texts = {path: json.dumps(contracts.get(path, {})) for path in used.values()}
    count = Counter(name for text in texts.values() for name in {*NAME.findall(text)})
    for service, path in used.items():
        text = texts[path]
        for start, name in (each for each in count if count[each] > 1):
            text = text.replace(f'"{start}{name}"', f'"{start}{service}.{name}"')
        contract = json.loads(text)
        api["components"] |= contract.get("components", {})
        api["tags"].append(
            {"name": service, "description": f"Contract: `{path}`." if path else "Its contract is not here."}
        )
        for route in services[service]["routes"]:
            method, place = route["key"].split()
            added = operation(api, {**registry["api"], **route}, operations(contract).get(route["key"]))
            api["paths"].setdefault(place, {})[method.lower()] = added | {"tags": [service]}
    api["components"] = needed(api)
    schemes = {"certificate": {"type": "mutualTLS"}} if "truststore" in registry["api"].get("domain", {}) else {}
    if jwt := registry["api"].get("jwt"):
        url = f"{jwt['issuer'].rstrip('/')}/.well-known/openid-configuration"
        schemes["jwt"] = {"type": "openIdConnect", "openIdConnectUrl": url, "x-audience": jwt["audience"]}
    if schemes:
        api["components"]["securitySchemes"] = schemes
    # Through JSON, so that YAML has no aliases.
    return json.loads(json.dumps(api))  # type: ignore[no-any-return]


if __name__ == "__main__":
    services, to = sys.argv[1:]
    if bool(services) != bool(to):
        sys.exit("error: expected SERVICES=REGISTRY and TO=FILE, or neither: docs/openapi.yaml is of services.toml")
    merged = document(tomllib.loads((REGISTRY.parent / (services or REGISTRY)).read_text()), contracts())
    Path(to or PAGE).write_text(yaml.safe_dump(merged, sort_keys=False, allow_unicode=True, width=120))
