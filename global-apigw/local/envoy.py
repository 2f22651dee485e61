"""Translates an HTTP API into an Envoy configuration that answers as API Gateway does.

Each imitation names the AWS behaviour; README.md, "Local and deployed", lists what differs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from local.access_log import REQUEST_ID, access_log, context
from local.authorization import jwt_filters, jwt_route
from local.http_api import Cors, HttpApi, Route, Throttle
from local.integration import Integration
from local.template import TemplateError

Json = dict[str, Any]
Address = tuple[str, int]

TYPE = "type.googleapis.com/envoy.extensions"
# Quotas of an HTTP API: docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
MAX_PAYLOAD_BYTES = 10 * 1024 * 1024
MAX_HEADERS_KB = 10
# An NLB forgets an idle flow after that many seconds; backends keep theirs longer.
NLB_IDLE_SECONDS = 350
# The gateway's own answers: Envoy's status → (the gateway's status, its message). An integration that cannot be
# reached or does not answer in time is a 503. The bodies of 413 and 431 are not documented.
LOCAL_REPLIES = {
    401: (401, "Unauthorized"),
    403: (403, "Forbidden"),
    404: (404, "Not Found"),
    413: (413, "Request Entity Too Large"),
    429: (429, "Too Many Requests"),
    431: (431, "Request Header Fields Too Large"),
    502: (503, "Service Unavailable"),
    503: (503, "Service Unavailable"),
    504: (503, "Service Unavailable"),
}


def translate(api: HttpApi, endpoints: Mapping[str, Address], *, port: int, jwks: str) -> Json:
    """The configuration that serves `api` on 127.0.0.1:`port`.

    `endpoints` maps each endpoint service name to the address that stands for it; `jwks` holds the public keys that
    stand for every issuer's. TemplateError names what cannot be translated.
    """
    return {
        "stats_config": {"stats_matcher": {"reject_all": True}},  # nothing here shows them
        # Envoy warns at its start when nobody has decided on a limit.
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": f"{TYPE}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": 10_000,
                    },
                }
            ]
        },
        "static_resources": {
            "listeners": [
                {
                    "name": "http-api",
                    "address": _address(("127.0.0.1", port)),
                    "filter_chains": [{"filters": [_connection_manager(api, jwks)]}],
                }
            ],
            "clusters": [
                _cluster(integration, endpoints)
                for integration in {route.integration.logical_id: route.integration for route in api.routes}.values()
            ],
        },
    }


def token_bucket(throttle: Throttle) -> Json:
    """Envoy refills at most every 50 ms, so a fast bucket gets several tokens at once; the rate is exact."""
    tokens = max(1, math.ceil(throttle.rate * 0.05))
    interval = f"{tokens / throttle.rate:.9f}s"
    return {"max_tokens": throttle.burst, "tokens_per_fill": tokens, "fill_interval": interval}


def _address(address: Address) -> Json:
    return {"socket_address": {"address": address[0], "port_value": address[1]}}


def _cluster(integration: Integration, endpoints: Mapping[str, Address]) -> Json:
    name = integration.service_name
    if name not in endpoints:
        known = ", ".join(endpoints) or "none"
        raise TemplateError(
            f"{integration.logical_id}: no address for {name}; expected --endpoint {name}=127.0.0.1:PORT, mapped: {known}"
        )
    endpoint = {"endpoint": {"address": _address(endpoints[name])}}
    return {
        "name": integration.logical_id,
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": integration.logical_id, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{TYPE}.upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"idle_timeout": f"{NLB_IDLE_SECONDS}s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _connection_manager(api: HttpApi, jwks: str) -> Json:
    config = {
        "@type": f"{TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http_api",
        "codec_type": "HTTP1",  # else a client could speak HTTP/2 in the clear, as it never can on AWS
        # Every client is an outside one: its x-request-id is replaced, its x-envoy-* headers are dropped.
        "use_remote_address": True,
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
        # HTTP APIs send Forwarded, not X-Forwarded-For.
        "skip_xff_append": True,
        "max_request_headers_kb": MAX_HEADERS_KB,
        "server_header_transformation": "PASS_THROUGH",
        "http_filters": [*_filters(api, jwks), _filter("router", suppress_envoy_headers=True)],
        "route_config": _route_config(api),
        "local_reply_config": {"mappers": [*_unauthorized(), *map(_reply_mapper, LOCAL_REPLIES)]},
        "access_log": [access_log(api.access_log)],
    }
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": config}


def _filter(name: str, kind: str = "", **config: Any) -> Json:
    message = kind or "".join(word.capitalize() for word in name.split("_"))
    return {
        "name": f"envoy.filters.http.{name}",
        "typed_config": {"@type": f"{TYPE}.filters.http.{name}.v3.{message}", **config},
    }


def _filters(api: HttpApi, jwks: str) -> list[Json]:
    """CORS answers preflights before any authorization; throttling counts what authorization lets through."""
    return [
        *([_filter("cors")] if api.cors else []),
        *jwt_filters(api.routes, jwks),
        _filter("local_ratelimit", "LocalRateLimit", stat_prefix="throttle"),
        _filter("buffer", max_request_bytes=MAX_PAYLOAD_BYTES),
    ]


def _route_config(api: HttpApi) -> Json:
    """Any other Host is a 404, so that no web page in this machine's browser reaches the API by DNS rebinding."""
    # There is no $default route, so the log has no route key for it.
    not_found = {"name": "-", "match": {"prefix": "/"}, "direct_response": {"status": 404}}
    return {
        "virtual_hosts": [_virtual_host(api, not_found), {"name": "*", "domains": ["*"], "routes": [not_found]}],
        "validate_clusters": False,
        "ignore_port_in_host_matching": True,
        # Every answer carries the request id; the header is spelled in lower case by API Gateway too.
        "response_headers_to_add": [_header("apigw-requestid", REQUEST_ID)],
        "response_headers_to_remove": ["x-envoy-upstream-service-time"],
    }


def _virtual_host(api: HttpApi, not_found: Json) -> Json:
    # A full match goes before a path parameter, and a request that no route matches gets a 404, never a 405.
    routes = sorted(api.routes, key=lambda route: ["{" in part for part in route.path.split("/")])
    host: Json = {
        "name": "http-api",
        "domains": ["127.0.0.1", "localhost", "[::1]"],
        "routes": [*map(_route, routes), not_found],
    }
    if api.cors:
        host["typed_per_filter_config"] = {"envoy.filters.http.cors": _cors_policy(api.cors)}
        host["routes"].insert(0, _preflight())
    return host


def _header(name: str, value: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _route(route: Route) -> Json:
    path = re.escape(route.path).replace(r"\{", "{").replace(r"\}", "}")
    pattern = re.sub(r"\{\w+\}", "[^/]+", path)
    match: Json = {"safe_regex": {"regex": pattern}} if "{" in route.path else {"path": route.path}
    match["headers"] = [{"name": ":method", "string_match": {"exact": route.method}}]
    integration = route.integration
    # docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-private.html
    forwarded = "by=127.0.0.1;for=%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%;host=%REQ(:AUTHORITY)%;proto=http"
    added = [
        {"header": {"key": "forwarded", "value": forwarded}, "append_action": "APPEND_IF_EXISTS_OR_ADD"},
        _header("via", "HTTP/1.1 AmazonAPIGateway"),
    ]
    removed = [*integration.remove, "x-forwarded-proto", "x-envoy-external-address"]
    for name, variable in integration.overwrite.items():
        if not (route.jwt and variable.startswith("$context.authorizer.claims.")):
            added.append(_header(name, context(variable, integration.logical_id)))
    if "x-request-id" not in integration.overwrite:
        removed.append("x-request-id")
    return {
        "name": route.key,
        "match": match,
        "route": {"cluster": integration.logical_id, "timeout": f"{integration.timeout}s"},
        "request_headers_to_add": added,
        "request_headers_to_remove": removed,
        "typed_per_filter_config": {"envoy.filters.http.local_ratelimit": _rate_limit(route), **jwt_route(route)},
    }


def _rate_limit(route: Route) -> Json:
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return {
        "@type": f"{TYPE}.filters.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "throttle",
        "token_bucket": token_bucket(route.throttle),
        "filter_enabled": always,
        "filter_enforced": always,
    }


def _preflight() -> Json:
    """Where a preflight on any path meets the CORS filter; one that the filter leaves unanswered is a 404."""
    method = {"name": ":method", "string_match": {"exact": "OPTIONS"}}
    asks = {"name": "access-control-request-method", "present_match": True}
    return {
        "name": "$preflight",
        "match": {"prefix": "/", "headers": [method, asks]},
        "route": {"cluster": "none", "cluster_not_found_response_code": "NOT_FOUND"},
    }


def _cors_policy(cors: Cors) -> Json:
    any_origin = cors.allow_origins == ("*",)
    origins = [{"safe_regex": {"regex": ".*"}}] if any_origin else [{"exact": origin} for origin in cors.allow_origins]
    return {
        "@type": f"{TYPE}.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": origins,
        "allow_methods": ",".join(cors.allow_methods),
        "allow_headers": ",".join(cors.allow_headers),
        "expose_headers": ",".join(cors.expose_headers),
        "max_age": str(cors.max_age),
    }


def _reply_mapper(status: int) -> Json:
    answered, message = LOCAL_REPLIES[status]
    equals = {"op": "EQ", "value": {"default_value": status, "runtime_key": f"status_{status}"}}
    return _mapper({"status_code_filter": {"comparison": equals}}, answered, message)


def _mapper(condition: Json, status: int, message: str) -> Json:
    body = {"inline_string": f'{{"message":"{message}"}}'}
    return {
        "filter": condition,
        "status_code": status,
        "body_format_override": {"text_format_source": body, "content_type": "application/json"},
    }


def _unauthorized() -> list[Json]:
    """A token that is wrong is a 401 of the gateway, while Envoy's policies can only say 403."""
    denied = {
        "name": "any policy but that of the scopes",
        "typed_config": {
            "@type": f"{TYPE}.access_loggers.filters.cel.v3.ExpressionFilter",
            "expression": "response.code_details.startsWith('rbac_') && !response.code_details.contains('[scope]')",
        },
    }
    mapper = _mapper({"extension_filter": denied}, *LOCAL_REPLIES[401])
    return [{**mapper, "headers_to_add": [_header("www-authenticate", 'Bearer error="invalid_token"')]}]
