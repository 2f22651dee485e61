"""The registry: services.toml, loaded and validated into frozen objects. Run as a module, it prints the JSON Schema."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails

# Quotas of an HTTP API: docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
MAX_ROUTES = 300
MAX_TIMEOUT_SECONDS = 30
MAX_SCOPES = 10
# An NLB has 50 listeners: docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-limits.html
MAX_SERVICES = 50
# Ids of constructs: all others have a capital letter, and "constructor" is taken in any JavaScript object.
# Compiled, because pydantic's own engine has no look-ahead; in Python, "$" alone would admit a newline at the end.
NAME = re.compile(r"^(?!constructor$)[a-z][a-z0-9-]{0,29}$(?!\n)")
ROUTE_KEY = r"^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/([\w.~-]+|\{\w+\}))+$"

Port = Annotated[int, Field(gt=0, lt=65536)]
Strings = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Strict(False)]


class RegistryError(Exception):
    """Every mistake in the registry, one a line, each naming its entry and key."""


class Table(BaseModel):
    """A TOML table. The description of a key says what is expected, in the schema and in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Throttle(Table):
    """A token bucket: `rate` requests a second on average, `burst` at once."""

    rate: float = Field(gt=0, description="requests per second above 0")
    burst: int = Field(gt=0, description="a number of requests above 0")


class Jwt(Table):
    """Whose tokens are accepted, and for whom they must be meant."""

    issuer: str = Field(pattern="^https://", description="an https:// URL")
    audience: Strings = Field(
        min_length=1, description="at least one audience; without it any token of the issuer would do"
    )


class Api(Table):
    """The API; its `throttle` is that of the routes that name none."""

    throttle: Throttle = Field(description="{ rate = <requests per second>, burst = <requests> }")
    jwt: Jwt | None = Field(default=None, description="issuer and audience")
    cors_origins: Strings = Field(default=(), description='a list of origins such as "https://app.example.com"')


class Route(Table):
    """A route without a `throttle` has the API's. A token needs one of the `scopes`."""

    key: str = Field(pattern=ROUTE_KEY, description='"METHOD /path", such as "GET /dogs"')
    throttle: Throttle | None = Field(default=None, description=Api.model_fields["throttle"].description)
    auth: Literal["none", "jwt"] = Field(default="none", description="one of none, jwt")
    scopes: Strings = Field(default=(), max_length=MAX_SCOPES, description=f"at most {MAX_SCOPES} scopes")

    @field_validator("scopes")
    @classmethod
    def _scopes_need_tokens(cls, scopes: tuple[str, ...], route: ValidationInfo) -> tuple[str, ...]:
        if scopes and route.data.get("auth") == "none":
            raise ValueError('scopes need auth = "jwt"')
        return scopes


class Service(Table):
    """One service in another account. `endpoint_service` names the variable that holds its VPC endpoint service."""

    endpoint_service: str = Field(pattern="^[A-Z][A-Z0-9_]*$", description="an environment variable's name")
    endpoint_port: Port = Field(description="a port")
    listener_port: Port = Field(description="a port that no other service has or had")
    health_path: str = Field(pattern=r"^/[\w./~-]*$", description="a path")
    timeout_seconds: int = Field(
        gt=0,
        le=MAX_TIMEOUT_SECONDS,
        description=f"1 to {MAX_TIMEOUT_SECONDS}, above what the service itself takes at most",
    )
    routes: Annotated[tuple[Route, ...], Strict(False)] = Field(
        min_length=1, description="a list with at least one route"
    )


class Registry(Table):
    """Services by name, in order of name, so that the order of the file changes nothing."""

    api: Api = Field(description="a table with throttle")
    services: Annotated[
        dict[Annotated[str, Field(pattern=NAME)], Service], AfterValidator(lambda it: dict(sorted(it.items())))
    ] = Field(
        min_length=1,
        max_length=MAX_SERVICES,
        description=f"1 to {MAX_SERVICES} [services.<name>] entries, for which the shared load balancer has listeners",
        json_schema_extra={"additionalProperties": False},
    )


TABLES = (Throttle, Jwt, Api, Route, Service, Registry)
EXPECTED = {name: key.description for table in TABLES for name, key in table.model_fields.items()}
EXPECTED |= {table.__name__: f"a table of {', '.join(table.model_fields)}" for table in TABLES}


def load_registry(text: str) -> Registry:
    """Parse and check the registry's TOML `text`; RegistryError lists everything that is wrong with it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RegistryError(f"error: the registry is not TOML: {error}") from None
    problems: list[str] = []
    try:
        registry = Registry.model_validate(document)
    except ValidationError as errors:
        # A list of wrong items is also too short for pydantic, which counts the right ones.
        told = [error for error in errors.errors() if error["type"] != "too_short" or not error["input"]]
        problems = [_problem(document, error) for error in told]
    problems.extend(_conflicts(document))
    if problems:
        raise RegistryError("\n".join(f"error: {problem}" for problem in problems))
    return registry


def _problem(document: Any, error: ErrorDetails) -> str:
    """An error of pydantic in the words of the registry."""
    loc, value, ctx = error["loc"], error["input"], error.get("ctx", {})
    if loc[-1] == "[key]":
        return f"{_entry(document, loc[:-1])}: the name must be up to 30 lower-case letters, digits and hyphens, and not 'constructor'"
    item = f"[{loc[-1]}]" if isinstance(loc[-1], int) else ""
    *entry, key = loc[:-1] if item else loc
    where, expected = _entry(document, entry, named=key != "key"), EXPECTED.get(ctx.get("class_name", key))
    match error["type"]:
        case "extra_forbidden":
            return f"{where}: {key} is not a known key"
        case "missing":
            return f"{where}: {key} is missing, expected {expected}"
        case "too_long":
            return f"{where}: {key} has {len(value)} entries, expected {expected}"
        case "value_error":
            return f"{where}: {ctx['error']}"
        case _:
            return f"{where}: {key}{item} is {value!r}, expected {expected}"


def _entry(document: Any, loc: Sequence[str | int], *, named: bool = True) -> str:
    """The path of a table, for example "services.todo.routes[1] (GET /todo)"."""
    path, at = "", document
    for part in loc:
        at = at[part]
        path += f".{part}" if isinstance(part, str) else f"[{part}]"
        path += f" ({at['key']})" if isinstance(part, int) and named and "key" in at else ""
    return path.removeprefix(".") or "registry"


def _conflicts(document: Any) -> Iterator[str]:
    """Mistakes between entries. It reads the document and not the models, so that no other mistake hides them."""
    has_jwt = "jwt" in dict(_tables(document)).get("api", {})
    services = sorted(_tables(document.get("services")))
    ports: dict[int, str] = {}
    for name, service in services:
        port = service.get("listener_port")
        if isinstance(port, int) and ports.setdefault(port, name) != name:
            yield f"services.{name}: listener_port {port} belongs to services.{ports[port]} too"
    routes = [(name, *route) for name, service in services for route in _tables(service.get("routes"))]
    if len(routes) > MAX_ROUTES:
        yield f"services: {len(routes)} routes, an HTTP API takes {MAX_ROUTES}"
    # Two keys that differ only in a parameter's name match the same requests.
    shapes: dict[str, str] = {}
    for name, number, route in routes:
        key, where = route.get("key"), _entry(document, ("services", name, "routes", number))
        if route.get("auth") == "jwt" and not has_jwt:
            yield f'{where}: auth = "jwt" needs [api.jwt] with issuer and audience'
        if isinstance(key, str) and (shape := re.sub(r"\{\w+\}", "{}", key)) in shapes:
            yield f"services.{name}: route {key!r} overlaps with {shapes[shape]}"
        elif isinstance(key, str):
            shapes[shape] = f"{key!r} of services.{name}"


def _tables(values: Any) -> list[tuple[Any, dict[str, Any]]]:
    """The tables among the values of a table or a list, with their keys or numbers."""
    keys = values if isinstance(values, dict) else range(len(values)) if isinstance(values, list) else ()
    return [(key, values[key]) for key in keys if isinstance(values[key], dict)]


if __name__ == "__main__":
    print(json.dumps(Registry.model_json_schema(), indent=2))
