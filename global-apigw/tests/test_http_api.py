"""The reader takes every property it needs from the template, and refuses what it does not know."""

import copy
import re
from collections.abc import Iterator
from functools import reduce
from typing import Any

import pytest

from local.envoy import translate
from local.http_api import KNOWN_TYPES, HttpApi, read_http_api
from local.template import Template, TemplateError
from tests.conftest import CATS, DOGS, TODO

PORTS = {name: port for port, name in enumerate((DOGS, TODO, CATS), start=1)}
THROTTLE = {"ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 1}


def read(document: dict[str, Any]) -> HttpApi:
    return read_http_api(Template(document))


def change(document: dict[str, Any], kind: str, **properties: Any) -> dict[str, Any]:
    """A copy in which the first resource of a type that ends with `kind` has other `properties`; None removes one."""
    changed = copy.deepcopy(document)
    resource = next(body for body in changed["Resources"].values() if body["Type"].endswith(f"::{kind}"))
    merged = {**resource["Properties"], **properties}
    resource["Properties"] = {name: value for name, value in merged.items() if value is not None}
    return changed


def test_every_route_leads_to_its_service(document: dict[str, Any]) -> None:
    routes = {route.key: route for route in read(document).routes}
    assert {key: (route.integration.service_name, route.integration.timeout) for key, route in routes.items()} == {
        **dict.fromkeys(("GET /dogs", "GET /dogs/males", "GET /dogs/females"), (DOGS, 10)),
        **dict.fromkeys(("POST /todo", "GET /todo", "GET /todo/{todoId}"), (TODO, 10)),
    }
    assert routes["POST /todo"].throttle == {"ThrottlingRateLimit": 10, "ThrottlingBurstLimit": 20}
    assert routes["GET /todo/{todoId}"].throttle == {"ThrottlingRateLimit": 50, "ThrottlingBurstLimit": 100}


def names(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """The path of every property below `value`, without the keys that are data."""
    for name, child in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        if isinstance(name, int):
            yield from names(child, *path, name)
        elif re.fullmatch("[A-Z][A-Za-z]+", name) and name not in ("Ref", "Key", "Value"):
            yield (*path, name)
            yield from names(child, *path, name)


def test_fails_when_any_property_has_another_name(secured: dict[str, Any]) -> None:
    known = {name: body for name, body in secured["Resources"].items() if body["Type"] in KNOWN_TYPES}
    paths = [path for name, body in known.items() for path in names(body["Properties"], name)]
    assert len(paths) > 200
    for logical_id, *path, name in paths:
        renamed = copy.deepcopy(secured)
        table: Any = reduce(lambda at, step: at[step], path, renamed["Resources"][logical_id]["Properties"])
        table[f"{name}Renamed"] = table.pop(name)
        with pytest.raises(TemplateError, match=rf"{logical_id} \(.*\b{name}"):
            read(renamed)


@pytest.mark.parametrize(
    ("kind", "properties", "message"),
    [
        ("Api", {"ProtocolType": "WEBSOCKET"}, "(AWS::ApiGatewayV2::Api): ProtocolType is 'WEBSOCKET', known here: 'HTTP'"),
        ("Api", {"DisableExecuteApiEndpoint": True}, "unknown property DisableExecuteApiEndpoint"),
        ("Stage", {"StageName": "prod"}, "StageName is 'prod', known here: '$default'"),
        ("Stage", {"RouteSettings": {"GET /cats": THROTTLE}}, "RouteSettings for routes that do not exist: ['GET /cats']"),
        ("Stage", {"RouteSettings": {"GET /todo": {**THROTTLE, "DetailedMetricsEnabled": True}}},
         "unknown property RouteSettings.GET /todo.DetailedMetricsEnabled"),
        ("Stage", {"DefaultRouteSettings": "none"}, "DefaultRouteSettings is 'none', expected type object"),
        ("Integration", {"IntegrationType": "AWS_PROXY"}, "IntegrationType is 'AWS_PROXY'"),
        ("Integration", {"RequestParameters": {"append:header.x": "y"}}, "RequestParameters.append:header.x"),
        ("Integration", {"RequestParameters": {"remove:header.x": ""}}, "remove:header.x is '', known here: \"''\""),
        ("Integration", {"RequestParameters": {"remove:header.x": '""'}}, "known here: \"''\""),
        ("Integration", {"RequestParameters": {"overwrite:header.x": "$context.requestId", "remove:header.X": "''"}},
         "remove:header.X: the header has another mapping already"),
        ("Integration", {"TimeoutInMillis": None}, "property TimeoutInMillis is missing"),
        ("Integration", {"IntegrationUri": "https://x"}, "expected a reference to AWS::ElasticLoadBalancingV2::Listener"),
        ("Integration", {"ConnectionId": {"Ref": "ApiHttpApi2997B86B"}}, "expected AWS::ApiGatewayV2::VpcLink, found AWS::Api"),
        ("Route", {"AuthorizationType": "AWS_IAM"}, "AuthorizationType is 'AWS_IAM'"),
        ("Route", {"AuthorizationType": "JWT"}, "property AuthorizerId is missing"),
        ("Route", {"AuthorizerId": {"Ref": "Jwt"}}, "AuthorizerId is {'Ref': 'Jwt'}, known here: None"),
        ("Route", {"RouteKey": "ANY /dogs"}, "RouteKey is 'ANY /dogs'"),
        ("Route", {"RouteKey": "GET /{proxy+}"}, "RouteKey is 'GET /{proxy+}'"),
        ("Route", {"Target": {"Ref": "ApiHttpApi2997B86B"}}, "expected integrations/ID"),
        ("Listener", {"Protocol": "TLS"}, "Protocol is 'TLS'"),
        ("Listener", {"DefaultActions": []}, "DefaultActions is [], expected minItems 1"),
        ("TargetGroup", {"TargetType": "alb"}, "TargetType is 'alb'"),
        ("TargetGroup", {"Port": 9090}, "expected one endpoint, on the port of the group"),
        ("TargetGroup", {"Targets": []}, "expected one endpoint, on the port of the group"),
        ("LoadBalancer", {"Scheme": "internet-facing"}, "Scheme is 'internet-facing'"),
        ("AWS", {"Create": "{}", "Update": "{}"}, "Create is not a lookup of one endpoint"),
        ("AWS", {"Update": "{}"}, "Create is not a lookup of one endpoint's network interfaces, which Update repeats"),
        ("VPCEndpoint", {"VpcEndpointType": "Gateway"}, "VpcEndpointType is 'Gateway'"),
    ],
)  # fmt: skip
def test_fails_when_a_shape_is_unknown(
    document: dict[str, Any], kind: str, properties: dict[str, Any], message: str
) -> None:
    with pytest.raises(TemplateError, match=re.escape(message)):
        read(change(document, kind, **properties))


@pytest.mark.parametrize("type", ["AWS::ApiGatewayV2::DomainName", "AWS::ElasticLoadBalancingV2::ListenerRule"])
def test_fails_when_a_resource_type_is_unknown(document: dict[str, Any], type: str) -> None:
    with pytest.raises(TemplateError, match=f"Extra: resource type {type} is not known here"):
        read({**document, "Resources": {**document["Resources"], "Extra": {"Type": type, "Properties": {}}}})


def test_fails_when_there_are_two_authorizers(secured: dict[str, Any]) -> None:
    [jwt] = [body for body in secured["Resources"].values() if body["Type"].endswith("::Authorizer")]
    with pytest.raises(TemplateError, match="expected one AWS::ApiGatewayV2::Authorizer, found"):
        read({**secured, "Resources": {**secured["Resources"], "Second": jwt}})


def test_fails_when_a_service_has_no_address(document: dict[str, Any]) -> None:
    with pytest.raises(TemplateError, match=f"no address for {TODO}; expected --endpoint {TODO}=127.0.0.1:PORT"):
        translate(read(document), {DOGS: 1}, port=1, jwks="{}")


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("Stage", {"AccessLogSettings": {"DestinationArn": "x", "Format": '{"a": "$context.tls"}'}}),
        ("Integration", {"RequestParameters": {"overwrite:header.x": "$context.tls"}}),
    ],
)
def test_fails_when_a_log_field_or_header_has_an_unknown_source(
    document: dict[str, Any], kind: str, properties: dict[str, Any]
) -> None:
    with pytest.raises(TemplateError, match=r": \$context.tls is not known here"):
        translate(read(change(document, kind, **properties)), PORTS, port=1, jwks="{}")


def test_the_local_api_knows_every_option_of_the_registry(secured: dict[str, Any]) -> None:
    config = str(translate(read(secured), PORTS, port=1, jwks="{}"))
    assert "/cats/[^/]+" in config and "cats.read" in config
