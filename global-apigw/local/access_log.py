"""The access log in Envoy's words, made of $context variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.template import TemplateError

Json = dict[str, Any]

REQUEST_ID = "%REQ(X-REQUEST-ID)%"
# $context variable → what Envoy knows of it.
CONTEXT = {
    "$context.requestTimeEpoch": "%START_TIME(%s%3f)%",
    "$context.requestId": REQUEST_ID,
    "$context.routeKey": "%ROUTE_NAME%",
    "$context.status": "%RESPONSE_CODE%",
    "$context.responseLatency": "%DURATION%",
    "$context.integrationLatency": "%RESPONSE_DURATION%",
    "$context.integration.status": "%CEL(response.code_details == 'via_upstream' ? response.code : '-')%",
    "$context.integrationErrorMessage": "%RESPONSE_FLAGS_LONG%",
    "$context.authorizer.error": "%CEL(response.code_details.startsWith('jwt_authn_')"
    " || response.code_details.startsWith('rbac_') ? response.code_details : '-')%",
    "$context.identity.sourceIp": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    **{
        f"$context.authorizer.claims.{claim}": f"%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:{claim})%"
        for claim in ("sub", "client_id")
    },
}


def context(variable: str, where: str) -> str:
    """Envoy's word for a $context variable."""
    if variable not in CONTEXT:
        raise TemplateError(f"{where}: {variable} is not known here, known: {', '.join(CONTEXT)}")
    return CONTEXT[variable]


def access_log(variables: Mapping[str, str]) -> Json:
    """A line of JSON a request; `variables` maps each of its fields to a $context variable."""
    # Every value is a string, and a missing one a dash: so Envoy prints what two operators make, here an empty second one.
    fields = {
        field: f"{context(variable, 'access log format')}%ENVIRONMENT(PATH):0%" for field, variable in variables.items()
    }
    return {
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"json_format": fields},
        },
    }
