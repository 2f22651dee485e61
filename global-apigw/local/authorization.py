"""The JWT authorizer in Envoy's words: jwt_authn verifies the token, rbac what jwt_authn does not look at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from local.http_api import Jwt, Route

Json = dict[str, Any]

JWT_AUTHN = "envoy.filters.http.jwt_authn"
RBAC = "envoy.filters.http.rbac"
JWT_AUTHN_TYPE = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3"
RBAC_TYPE = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3"
# A token may stand alone. The last prefix that is there gives the reason why a token is refused.
PREFIXES = ("", "Bearer ")
# Envoy looks for the prefix anywhere, and in all headers of the name, joined by commas.
ALONE = r"(Bearer )?[\w-]+\.[\w-]+\.[\w-]+"


def jwt_filters(routes: Iterable[Route], jwks: str) -> list[Json]:
    """The filters that serve the authorized routes; none when every route is open."""
    authorized = [route for route in routes if route.jwt]
    authorizers = {route.jwt.issuer: route for route in authorized if route.jwt}
    if not authorizers:
        return []
    authentication = {
        "@type": f"{JWT_AUTHN_TYPE}.JwtAuthentication",
        "providers": {
            f"{issuer} {prefix}": _provider(route, jwks, prefix)
            for issuer, route in authorizers.items()
            for prefix in PREFIXES
        },
        "requirement_map": {
            issuer: {"requires_any": {"requirements": [{"provider_name": f"{issuer} {prefix}"} for prefix in PREFIXES]}}
            for issuer in authorizers
        },
    }
    return [
        {"name": JWT_AUTHN, "typed_config": authentication},
        {"name": RBAC, "typed_config": {"@type": f"{RBAC_TYPE}.RBAC"}},
    ]


def _provider(route: Route, jwks: str, prefix: str) -> Json:
    assert route.jwt  # noqa: S101 - the callers have authorized routes only
    claims = {
        header: variable.removeprefix("$context.authorizer.claims.")
        for header, variable in route.integration.overwrite.items()
        if variable.startswith("$context.authorizer.claims.")
    }
    return {
        "issuer": route.jwt.issuer,
        "local_jwks": {"inline_string": jwks},
        # Explicit, because the default also takes the query parameter access_token.
        "from_headers": [{"name": "Authorization", "value_prefix": prefix}],
        "forward": True,
        "require_expiration": True,
        "claim_to_headers": [{"header_name": name, "claim_name": claim} for name, claim in claims.items()],
        "payload_in_metadata": "payload",
        "header_in_metadata": "header",
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope", "scp"]},
    }


def jwt_route(route: Route) -> Json:
    """What an authorized route asks for: the issuer's token alone, for one of the audiences, with one of the scopes."""
    if not route.jwt:
        return {}
    only_token = {"name": "authorization", "string_match": {"safe_regex": {"regex": ALONE}}}
    policies = {
        "audience": _unless(_audience(route.jwt)),
        "authorization": _unless({"header": only_token}),
        "iat": {"permissions": [{"any": True}], "principals": [{"any": True}], "condition": _IN_FUTURE},
        "kid": _unless(_metadata("header", "kid", _ANY)),
    }
    if route.scopes:
        policies["scope"] = _unless(_any(_claim(name, scope) for name in ("scope", "scp") for scope in route.scopes))
    return {
        JWT_AUTHN: {"@type": f"{JWT_AUTHN_TYPE}.PerRouteConfig", "requirement_name": route.jwt.issuer},
        RBAC: {"@type": f"{RBAC_TYPE}.RBACPerRoute", "rbac": {"rules": {"action": "DENY", "policies": policies}}},
    }


def _audience(jwt: Jwt) -> Json:
    """API Gateway checks client_id only when the token has no aud."""
    aud = _any(_claim("aud", audience) for audience in jwt.audience)
    client_id = _any(_claim("client_id", audience) for audience in jwt.audience)
    present = ({"present_match": True}, {"list_match": {"one_of": _ANY}})
    has_aud = _any(_metadata("payload", "aud", value) for value in present)
    return _any([aud, {"and_ids": {"ids": [{"not_id": has_aud}, client_id]}}])


_ANY = {"string_match": {"safe_regex": {"regex": ".*"}}}


def _call(function: str, *arguments: Json) -> Json:
    return {"call_expr": {"function": function, "args": list(arguments)}}


def _attribute(name: str, *fields: str) -> Json:
    expression: Json = {"ident_expr": {"name": name}}
    for field in fields:
        expression = {"select_expr": {"operand": expression, "field": field}}
    return expression


# A CEL expression, which Envoy takes as a tree only: the claim iat > the time of the request, in seconds.
_IN_FUTURE = _call(
    "_>_",
    _attribute("metadata", "filter_metadata", JWT_AUTHN, "payload", "iat"),
    _call("double", _call("int", _attribute("request", "time"))),
)


def _unless(principal: Json) -> Json:
    return {"permissions": [{"any": True}], "principals": [{"not_id": principal}]}


def _any(principals: Iterable[Json]) -> Json:
    return {"or_ids": {"ids": list(principals)}}


def _claim(name: str, value: str) -> Json:
    """The claim is `value`, or a list that holds it."""
    exact = {"string_match": {"exact": value}}
    return _any(_metadata("payload", name, value) for value in (exact, {"list_match": {"one_of": exact}}))


def _metadata(part: str, name: str, value: Json) -> Json:
    """A field of the token's payload or header has the value."""
    path = [{"key": part}, {"key": name}]
    return {"sourced_metadata": {"metadata_matcher": {"filter": JWT_AUTHN, "path": path, "value": value}}}
