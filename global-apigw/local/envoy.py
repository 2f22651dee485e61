"""Fills the parts of Envoy's configuration in envoy.yaml with the routes, services, limits and tokens of an HTTP API."""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from local.http_api import HttpApi, Integration, Json, Route
from local.template import TemplateError

# The loader in C: the one in Python takes a tenth of a second.
PARTS: Json = yaml.load((Path(__file__).parent / "envoy.yaml").read_text(), yaml.CSafeLoader)
CLAIMS = "$context.authorizer.claims."
# infra/settings.py names the service of a stand-in by its listener port, which is its local port, too.
STAND_IN = re.compile(r".*\.vpce-svc-0{12}(\d{5})")


def translate(
    api: HttpApi, ports: Mapping[str, int], *, port: int, jwks: str, authority: Path, tls: Json | None = None
) -> Any:
    """The configuration that serves `api` on 127.0.0.1:`port`.

    `ports` maps the name of an endpoint service, for a stand-in its listener port, to a local port; `jwks` has the public keys that
    stand for those of the issuer, the folder `authority` a certificate for each server name; `tls` names the files of the API's own
    certificate and key, and has the trusted certificates. TemplateError names the resource that Envoy cannot imitate.
    """
    # Envoy takes the first match, API Gateway prefers a full match to a path parameter.
    routes = sorted(api.routes, key=lambda route: ["{" in segment for segment in route.key.split("/")])
    first = [name for name, given in (("untrusted", tls), ("preflight", api.cors)) if given]
    manager = part(
        "connection_manager",
        hosts=[*api.hosts],
        cors=api.cors and PARTS["cors_filter"],
        cors_policy=api.cors and _cors_policy(api.cors),
        routes=[*(PARTS[each] for each in first), *map(_route, routes), PARTS["not_found"]],
        mappers=[*PARTS["own_replies"], *(part("local_reply", **reply) for reply in PARTS["local_replies"])],
        # API Gateway logs each value as a string, and a missing value as a dash. Envoy does the same only for a field of two
        # operators; a single operator gives a number or null. The second operator prints 0 characters of the variable PATH.
        log_fields={
            field: f"{_operator(variable, 'access log format')}%ENVIRONMENT(PATH):0%"
            for field, variable in api.access_log.items()
        },
        **_jwt_filters(api.routes, jwks),
    )
    integrations = {route.integration.logical_id: route.integration for route in api.routes}
    clusters = [each for integration in integrations.values() for each in _clusters(integration, ports, authority)]
    own = tls and part("tls", **tls)
    bootstrap = part("bootstrap", port=port, connection_manager=manager, clusters=clusters, tls=own)
    bootstrap["static_resources"]["listeners"] += [
        part("tls_listener", **each._asdict(), authority=authority)
        for each in integrations.values()
        if each.server_name
    ]
    return bootstrap


def part(name: str, /, **values: Any) -> Any:
    """The part `name` of envoy.yaml with `values`; an item whose value is None is left out."""
    return _fill(PARTS[name], values)


def _fill(item: Any, values: Json) -> Any:
    match item:
        case dict():
            filled = {_fill(key, values): _fill(value, values) for key, value in item.items()}
            return {key: value for key, value in filled.items() if value is not None}
        case list():
            return [value for value in (_fill(value, values) for value in item) if value is not None]
        case str() if name := re.fullmatch(r"<(\w+)>", item):
            return values[name[1]]
        case str():
            return re.sub(r"<(\w+)>", lambda name: str(values[name[1]]), item)
    return item


def _operator(variable: str, where: str) -> str:
    """The operator by which Envoy prints a $context variable."""
    known = PARTS["context"]
    if variable not in known:
        raise TemplateError(f"{where}: {variable} is not known here, known: {', '.join(known)}")
    return str(known[variable])


def _clusters(integration: Integration, ports: Mapping[str, int], authority: Path) -> list[Any]:
    stand_in = STAND_IN.fullmatch(integration.service_name)
    name = stand_in[1].lstrip("0") if stand_in else integration.service_name
    port = ports.get(name, int(name) if stand_in else None)
    if port is None:
        known = ", ".join(ports) or "none"
        raise TemplateError(
            f"{integration.logical_id}: no address for {name}; expected --endpoint {name}=127.0.0.1:PORT, mapped: {known}"
        )
    parts = ["cluster_over_tls", "cluster_behind_tls"] if integration.server_name else ["cluster"]
    return [part(each, **integration._asdict(), port=port, authority=authority) for each in parts]


def _route(route: Route) -> Any:
    method, _, path = route.key.partition(" ")
    segments = ["[^/]+" if segment.startswith("{") else re.escape(segment) for segment in path.split("/")]
    integration = route.integration
    added, removed = [*PARTS["gateway_headers"]], []
    for name, variable in integration.headers.items():
        if variable is None:
            removed.append(name)
        elif not (route.jwt and variable.startswith(CLAIMS)):  # jwt_authn sets the headers of verified claims
            added.append(part("header", key=name, value=_operator(variable, integration.logical_id)))
    own = {"x-request-id"} - integration.headers.keys()
    return part(
        "route",
        key=route.key,
        method=method,
        path=None if "{" in path else path,
        regex={"regex": "/".join(segments)} if "{" in path else None,
        cluster=integration.logical_id,
        timeout=integration.timeout,
        added=added,
        removed=[*removed, "x-forwarded-proto", "x-envoy-external-address", *own],
        token_bucket=_token_bucket(route.throttle),
        **_jwt_of_route(route),
    )


def _token_bucket(throttle: Json) -> Json:
    """Envoy refills at most every 50 ms, so a fast bucket gets several tokens at once; the rate is exact."""
    rate, burst = throttle["ThrottlingRateLimit"], throttle["ThrottlingBurstLimit"]
    tokens = max(1, math.ceil(rate * 0.05))
    return {"max_tokens": burst, "tokens_per_fill": tokens, "fill_interval": f"{tokens / rate:.9f}s"}


def _cors_policy(cors: Json) -> Any:
    any_origin = {"safe_regex": {"regex": ".*"}}
    return part(
        "cors_policy",
        origins=[any_origin if origin == "*" else {"exact": origin} for origin in cors["AllowOrigins"]],
        methods=",".join(cors["AllowMethods"]),
        headers=",".join(cors["AllowHeaders"]),
        exposed=",".join(cors["ExposeHeaders"]),
        max_age=str(cors["MaxAge"]),
    )


def _jwt_filters(routes: Iterable[Route], jwks: str) -> Json:
    """The filters that serve the authorized routes; none when every route is open."""
    authorized = {route.jwt["Issuer"]: route.integration.headers for route in routes if route.jwt}
    if not authorized:
        return {"jwt_authn": None, "rbac": None}
    [(issuer, headers)] = authorized.items()
    claims = [
        {"header_name": name, "claim_name": variable.removeprefix(CLAIMS)}
        for name, variable in headers.items()
        if variable and variable.startswith(CLAIMS)
    ]
    return {"jwt_authn": part("jwt_authn", issuer=issuer, jwks=jwks, claims=claims), "rbac": PARTS["rbac"]}


def _jwt_of_route(route: Route) -> Json:
    if not route.jwt:
        return {"jwt_authn": None, "rbac": None}
    scopes, audience = route.scopes, route.jwt["Audience"]
    rbac = part(
        "rbac_of_route",
        aud=_claims(audience, "aud"),
        client_id=_claims(audience, "client_id"),
        scope=part("scope_policy", claims=_claims(scopes, "scope", "scp")) if scopes else None,
    )
    return {"jwt_authn": part("jwt_authn_of_route", issuer=route.jwt["Issuer"]), "rbac": rbac}


def _claims(values: Iterable[str], *names: str) -> list[Any]:
    """One of the claims `names` has one of the `values`."""
    return [part("claim", name=name, value=value) for name in names for value in values]
