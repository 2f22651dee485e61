"""Fills the parts of Envoy's configuration in envoy.yaml with the routes, services, limits and tokens of an HTTP API."""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from local.http_api import Cors, HttpApi, Integration, Json, Route, Throttle
from local.template import TemplateError

Address = tuple[str, int]

# The loader in C: the one in Python takes a tenth of a second.
PARTS: Json = yaml.load((Path(__file__).parent / "envoy.yaml").read_text(), yaml.CSafeLoader)
CLAIMS = "$context.authorizer.claims."
# API Gateway also takes a token without "Bearer". Envoy gives the reason of the last prefix that the header has.
PREFIXES = ("", "Bearer ")


def translate(api: HttpApi, endpoints: Mapping[str, Address], *, port: int, jwks: str) -> Any:
    """The configuration that serves `api` on 127.0.0.1:`port`.

    `endpoints` maps the name of an endpoint service to its local address; `jwks` has the public keys that stand for those of
    every issuer. TemplateError names what Envoy cannot do.
    """
    # Envoy takes the first match, API Gateway prefers a full match to a path parameter.
    routes = sorted(api.routes, key=lambda route: ["{" in segment for segment in route.key.split("/")])
    manager = part(
        "connection_manager",
        cors=api.cors and PARTS["cors_filter"],
        cors_policy=api.cors and _cors_policy(api.cors),
        routes=[*([PARTS["preflight"]] if api.cors else []), *map(_route, routes), PARTS["not_found"]],
        mappers=[PARTS["wrong_token"], *map(_local_reply, PARTS["local_replies"])],
        # Two operators, the second without a value, make one string, and a dash of a missing value.
        log_fields={
            field: f"{_operator(variable, 'access log format')}%ENVIRONMENT(PATH):0%"
            for field, variable in api.access_log.items()
        },
        **_jwt_filters(api.routes, jwks),
    )
    integrations = {route.integration.logical_id: route.integration for route in api.routes}
    clusters = [_cluster(integration, endpoints) for integration in integrations.values()]
    return part("bootstrap", port=port, connection_manager=manager, clusters=clusters)


def part(name: str, /, **values: Any) -> Any:
    """The part `name` of envoy.yaml with `values`; an item whose value is None is left out."""
    return _fill(PARTS[name], values)


def _fill(item: Any, values: Json) -> Any:
    match item:
        case dict():
            filled = {key: _fill(value, values) for key, value in item.items()}
            return {key: value for key, value in filled.items() if value is not None}
        case list():
            return [value for value in (_fill(value, values) for value in item) if value is not None]
        case str() if re.fullmatch(r"<\w+>", item):
            return values[item[1:-1]]
    return item


def _operator(variable: str, where: str) -> str:
    """The operator by which Envoy prints a $context variable."""
    known = PARTS["context"]
    if variable not in known:
        raise TemplateError(f"{where}: {variable} is not known here, known: {', '.join(known)}")
    return str(known[variable])


def _cluster(integration: Integration, endpoints: Mapping[str, Address]) -> Any:
    name = integration.service_name
    if name not in endpoints:
        known = ", ".join(endpoints) or "none"
        raise TemplateError(
            f"{integration.logical_id}: no address for {name}; expected --endpoint {name}=127.0.0.1:PORT, mapped: {known}"
        )
    host, port = endpoints[name]
    return part("cluster", name=integration.logical_id, host=host, port=port)


def _route(route: Route) -> Any:
    method, _, path = route.key.partition(" ")
    segments = ["[^/]+" if segment.startswith("{") else re.escape(segment) for segment in path.split("/")]
    match: Json = {"safe_regex": {"regex": "/".join(segments)}} if "{" in path else {"path": path}
    integration = route.integration
    # jwt_authn sets the headers of verified claims.
    overwrite = {
        name: variable
        for name, variable in integration.overwrite.items()
        if not (route.jwt and variable.startswith(CLAIMS))
    }
    own = {"x-request-id"} - integration.overwrite.keys()
    return part(
        "route",
        key=route.key,
        match={**match, "headers": [{"name": ":method", "string_match": {"exact": method}}]},
        cluster=integration.logical_id,
        timeout=f"{integration.timeout}s",
        added=[
            *PARTS["gateway_headers"],
            *(part("header", key=name, value=_operator(it, integration.logical_id)) for name, it in overwrite.items()),
        ],
        removed=[*integration.remove, "x-forwarded-proto", "x-envoy-external-address", *own],
        token_bucket=_token_bucket(route.throttle),
        **_jwt_of_route(route),
    )


def _token_bucket(throttle: Throttle) -> Json:
    """Envoy refills at most every 50 ms, so a fast bucket gets several tokens at once; the rate is exact."""
    tokens = max(1, math.ceil(throttle.ThrottlingRateLimit * 0.05))
    interval = f"{tokens / throttle.ThrottlingRateLimit:.9f}s"
    return {"max_tokens": throttle.ThrottlingBurstLimit, "tokens_per_fill": tokens, "fill_interval": interval}


def _local_reply(envoy_status: int) -> Any:
    status, message = PARTS["local_replies"][envoy_status]
    key, body = f"status_{envoy_status}", f'{{"message":"{message}"}}'
    return part("local_reply", envoy_status=envoy_status, runtime_key=key, status=status, body=body)


def _cors_policy(cors: Cors) -> Any:
    origins: list[Json] = [{"exact": origin} for origin in cors.AllowOrigins]
    return part(
        "cors_policy",
        origins=[{"safe_regex": {"regex": ".*"}}] if cors.AllowOrigins == ["*"] else origins,
        methods=",".join(cors.AllowMethods),
        headers=",".join(cors.AllowHeaders),
        exposed=",".join(cors.ExposeHeaders),
        max_age=str(cors.MaxAge),
    )


def _jwt_filters(routes: Iterable[Route], jwks: str) -> Json:
    """The filters that serve the authorized routes; none when every route is open."""
    authorized = {route.jwt.Issuer: route.integration.overwrite for route in routes if route.jwt}
    if not authorized:
        return {"jwt_authn": None, "rbac": None}
    providers, requirements = {}, {}
    for issuer, headers in authorized.items():
        claims = [
            {"header_name": name, "claim_name": variable.removeprefix(CLAIMS)}
            for name, variable in headers.items()
            if variable.startswith(CLAIMS)
        ]
        names = {f"{issuer} {prefix}": prefix for prefix in PREFIXES}
        for name, prefix in names.items():
            providers[name] = part("jwt_provider", issuer=issuer, jwks=jwks, prefix=prefix, claims=claims)
        requirements[issuer] = {"requires_any": {"requirements": [{"provider_name": name} for name in names]}}
    return {"jwt_authn": part("jwt_authn", providers=providers, requirements=requirements), "rbac": PARTS["rbac"]}


def _jwt_of_route(route: Route) -> Json:
    if not route.jwt:
        return {"jwt_authn": None, "rbac": None}
    scopes, audience = route.scopes, route.jwt.Audience
    rbac = part(
        "rbac_of_route",
        aud=_claims(audience, "aud"),
        client_id=_claims(audience, "client_id"),
        scope=part("scope_policy", claims=_claims(scopes, "scope", "scp")) if scopes else None,
    )
    return {"jwt_authn": part("jwt_authn_of_route", issuer=route.jwt.Issuer), "rbac": rbac}


def _claims(values: Iterable[str], *names: str) -> list[Any]:
    """One of the claims `names` has one of the `values`."""
    return [part("claim", name=name, value=value) for name in names for value in values]
