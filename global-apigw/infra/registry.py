"""The registry: services.toml, loaded and validated into frozen objects."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

# Quotas of an HTTP API: docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
MAX_ROUTES = 300
MAX_TIMEOUT_SECONDS = 30
MAX_SCOPES = 10
# An NLB has 50 listeners: docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-limits.html
MAX_SERVICES = 50
AUTH_MODES = ("none", "jwt")
ROUTE_KEY = r"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/([\w.~-]+|\{\w+\}))+"


class RegistryError(Exception):
    """Every mistake in the registry, one a line, each naming its entry and key."""


@dataclass(frozen=True)
class Throttle:
    """A token bucket: `rate` requests a second on average, `burst` at once."""

    rate: float
    burst: int


@dataclass(frozen=True)
class Jwt:
    """Whose tokens are accepted, and for whom they must be meant."""

    issuer: str
    audience: tuple[str, ...]


@dataclass(frozen=True)
class Route:
    """`key` is "METHOD /path"; `scopes`, of which a token needs one, only with `auth` "jwt"."""

    key: str
    throttle: Throttle
    auth: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Service:
    """One service in another account. `endpoint_service` names the variable that holds its VPC endpoint service."""

    name: str
    endpoint_service: str
    endpoint_port: int
    listener_port: int
    health_path: str
    timeout_seconds: int
    routes: tuple[Route, ...]


@dataclass(frozen=True)
class Registry:
    """Services in order of name, so that the order of the file changes nothing."""

    services: tuple[Service, ...]
    throttle: Throttle
    jwt: Jwt | None
    cors_origins: tuple[str, ...]


class _Table:
    """A TOML table whose keys are taken one by one; what is left over at the end is unknown."""

    def __init__(self, where: str, values: object, problems: list[str]) -> None:
        self.where, self.problems = where, problems
        self.values: dict[str, Any] = dict(cast(dict[str, Any], values)) if isinstance(values, dict) else {}
        if not isinstance(values, dict):
            self.problem(f"expected a table, got {values!r}")

    def problem(self, text: str) -> None:
        self.problems.append(f"{self.where}: {text}")

    def take(self, key: str, kind: type, expected: str, default: Any = None, *, valid: Any = None) -> Any:
        """The value of `key`; a wrong one is recorded with what was `expected` and replaced by an empty `kind`."""
        value = self.values.pop(key, default)
        right_kind = isinstance(value, (int, float) if kind is float else kind) and not isinstance(
            value, bool
        )
        if value is None:
            self.problem(f"{key} is missing, expected {expected}")
        elif not right_kind or (valid and not valid(value)):
            self.problem(f"{key} is {value!r}, expected {expected}")
        else:
            return value
        return kind()

    def strings(self, key: str, expected: str) -> tuple[str, ...]:
        return tuple(
            self.take(key, list, expected, [], valid=lambda v: all(isinstance(x, str) and x for x in v))
        )

    def close(self) -> None:
        for key in self.values:
            self.problem(f"{key} is not a known key")


def load_registry(text: str) -> Registry:
    """Parse and check the registry's TOML `text`; RegistryError lists everything that is wrong with it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RegistryError(f"error: the registry is not TOML: {error}") from None
    problems: list[str] = []
    root = _Table("registry", document, problems)
    api = _Table("api", root.values.pop("api", None) or {}, problems)
    entries = _Table("services", root.values.pop("services", None), problems).values
    root.close()
    throttle = _throttle(api, default=None)
    jwt = _jwt(api)
    cors = api.strings("cors_origins", 'a list of origins such as "https://app.example.com"')
    api.close()
    services = tuple(_service(name, entries[name], throttle, jwt, problems) for name in sorted(entries))
    problems.extend(_conflicts(services))
    if problems:
        raise RegistryError("\n".join(f"error: {problem}" for problem in problems))
    return Registry(services, throttle, jwt, cors)


def _throttle(table: _Table, default: Throttle | None) -> Throttle:
    if default and "throttle" not in table.values:
        return default
    values = table.take("throttle", dict, "{ rate = <requests per second>, burst = <requests> }")
    throttle = _Table(f"{table.where}.throttle", values, table.problems)
    positive: Any = lambda value: value > 0  # noqa: E731 - one word for two lines
    rate = throttle.take("rate", float, "requests per second above 0", valid=positive)
    burst = throttle.take("burst", int, "a number of requests above 0", valid=positive)
    throttle.close()
    return Throttle(rate, burst)


def _jwt(api: _Table) -> Jwt | None:
    if "jwt" not in api.values:
        return None
    table = _Table("api.jwt", api.values.pop("jwt"), api.problems)
    issuer = table.take("issuer", str, "an https:// URL", valid=lambda v: v.startswith("https://"))
    audience = table.strings("audience", "a list of audiences")
    if not audience:
        table.problem("audience is empty, expected at least one; without it any token of the issuer would do")
    table.close()
    return Jwt(issuer, audience)


def _service(name: str, values: object, throttle: Throttle, jwt: Jwt | None, problems: list[str]) -> Service:
    table = _Table(f"services.{name}", values, problems)
    # Ids of constructs: all others have a capital letter, and "constructor" is taken in any JavaScript object.
    if not re.fullmatch(r"(?!constructor$)[a-z][a-z0-9-]{0,29}", name):
        table.problem(
            "the name must be up to 30 lower-case letters, digits and hyphens, and not 'constructor'"
        )
    port: Any = lambda value: 0 < value < 65536  # noqa: E731 - one word for two lines
    service = Service(
        name=name,
        endpoint_service=table.take(
            "endpoint_service",
            str,
            "an environment variable's name",
            valid=re.compile(r"[A-Z][A-Z0-9_]*").fullmatch,
        ),
        endpoint_port=table.take("endpoint_port", int, "a port", valid=port),
        listener_port=table.take("listener_port", int, "a port that no other service has or had", valid=port),
        health_path=table.take("health_path", str, "a path", valid=re.compile(r"/[\w./~-]*").fullmatch),
        timeout_seconds=table.take(
            "timeout_seconds",
            int,
            f"1 to {MAX_TIMEOUT_SECONDS}, above what the service itself takes at most",
            valid=lambda value: 0 < value <= MAX_TIMEOUT_SECONDS,
        ),
        routes=tuple(
            _route(f"{table.where}.routes[{number}]", route, throttle, jwt, problems)
            for number, route in enumerate(
                table.take("routes", list, "a list with at least one route", valid=len)
            )
        ),
    )
    table.close()
    return service


def _route(where: str, values: object, throttle: Throttle, jwt: Jwt | None, problems: list[str]) -> Route:
    table = _Table(where, values, problems)
    key = table.take("key", str, '"METHOD /path", such as "GET /dogs"', valid=re.compile(ROUTE_KEY).fullmatch)
    table.where += f" ({key})"
    auth = table.take("auth", str, f"one of {', '.join(AUTH_MODES)}", "none", valid=AUTH_MODES.__contains__)
    scopes = table.strings("scopes", "a list of scopes")
    if auth == "jwt" and jwt is None:
        table.problem('auth = "jwt" needs [api.jwt] with issuer and audience')
    if scopes and auth != "jwt":
        table.problem('scopes need auth = "jwt"')
    if len(scopes) > MAX_SCOPES:
        table.problem(f"{len(scopes)} scopes, an HTTP API takes {MAX_SCOPES} a route")
    route = Route(key, _throttle(table, throttle), auth, scopes)
    table.close()
    return route


def _conflicts(services: tuple[Service, ...]) -> Iterator[str]:
    """What no entry shows alone: doubles, overlaps and quotas."""
    routes = [(service.name, route.key) for service in services for route in service.routes]
    if not services:
        yield "services: expected at least one [services.<name>] entry"
    if len(services) > MAX_SERVICES:
        yield f"services: {len(services)} entries, the shared load balancer takes {MAX_SERVICES}"
    if len(routes) > MAX_ROUTES:
        yield f"services: {len(routes)} routes, an HTTP API takes {MAX_ROUTES}"
    ports = Counter(service.listener_port for service in services)
    for service in services:
        if ports[service.listener_port] > 1:
            yield f"services.{service.name}: listener_port {service.listener_port} belongs to another service too"
    # Two keys that differ only in a parameter's name match the same requests.
    shapes: dict[str, str] = {}
    for name, key in routes:
        shape = re.sub(r"\{\w+\}", "{}", key)
        if shape in shapes:
            yield f"services.{name}: route {key!r} overlaps with {shapes[shape]}"
        shapes.setdefault(shape, f"{key!r} of services.{name}")
