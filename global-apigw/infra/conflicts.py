"""Mistakes between the keys of a registry: in one of them alone there is none."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

# docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
MAX_ROUTES = 300
# The listeners of a provider, by convention.
PORT, TLS_PORT = 8080, 8443
Tables = list[tuple[Any, dict[str, Any]]]


def path_in(loc: Sequence[str | int], value: Any) -> str:
    """The path of a key in the document `value`, for example "services.todo.routes[1] (GET /todo).scopes"."""
    path = ""
    for part in loc:
        value = value.get(part) if isinstance(value, dict) else value[part]
        path += f".{part}" if isinstance(part, str) else f"[{part}]"
        if isinstance(part, int) and isinstance(value, dict) and "key" in value:
            path += f" ({value['key']})"
    return path.removeprefix(".")


def conflicts(document: Any) -> Iterator[str]:
    """They are found in the document and not in the models, so that no other mistake hides them."""
    services = _tables(document.get("services"))
    routes = [
        (path_in(("services", name, "routes", number), document), route)
        for name, service in services
        for number, route in _tables(service.get("routes"))
    ]
    if len(routes) > MAX_ROUTES:
        yield f"services has {len(routes)} routes, expected at most {MAX_ROUTES}"
    yield from _duplicates(services, routes)
    regions: dict[str, str] = {}
    for name, service in services:
        variable, region = str(service.get("endpoint_service")), service.get("region", "")
        if (other := regions.setdefault(variable, region)) != region:
            yield f"services.{name}.region is {region!r}, expected {other!r}, as in another entry with {variable}"
        wrong, right, kind = (PORT, TLS_PORT, "for") if "tls" in service else (TLS_PORT, PORT, "without")
        if service.get("endpoint_port") == wrong:
            yield f"services.{name}.endpoint_port is {wrong}, expected a port {kind} TLS, such as {right}, or correct its tls"
    api = dict(_tables(document)).get("api", {})
    if api.get("default_endpoint") is False and "domain" not in api:
        yield "api.default_endpoint is false, which needs [api.domain]: without it no client could call the API"
    if "truststore" in dict(_tables(api)).get("domain", {}) and api.get("default_endpoint") is not False:
        yield "api.domain.truststore needs default_endpoint = false: the generated address asks nobody for a certificate"
    has_jwt = "jwt" in api
    for path, route in routes:
        if route.get("auth") == "jwt" and not has_jwt:
            yield f'{path}: auth = "jwt" needs [api.jwt] with issuer and audience'
        if route.get("scopes") and route.get("auth", "none") == "none":
            yield f'{path}: scopes need auth = "jwt"'


def _duplicates(services: Tables, routes: Tables) -> Iterator[str]:
    """Values that only one service or one route may have."""
    unique = [(f"services.{name}.listener_port", service.get("listener_port")) for name, service in services]
    unique += [(f"{path}.key", route.get("key")) for path, route in routes]
    owners: dict[str, str] = {}
    for path, value in unique:
        # Two route keys that differ only in a parameter's name match the same requests.
        shape = re.sub(r"\{\w+\}", "{}", str(value))
        if value is not None and owners.setdefault(shape, path) != path:
            yield f"{path} is {value!r}, which conflicts with {owners[shape]}"


def _tables(values: Any) -> Tables:
    """The tables in a table or a list, with their keys or numbers."""
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    return [(key, value) for key, value in items if isinstance(value, dict)]
