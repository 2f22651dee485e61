"""The reader takes every property it needs from the template, and refuses what it does not know."""

import copy
from typing import Any, ClassVar

import pytest

from local.envoy import translate
from local.http_api import HttpApi, Throttle, read_http_api
from local.template import Properties, Template, TemplateError
from tests.conftest import DOGS, TODO

ENDPOINTS = {DOGS: ("127.0.0.1", 1), TODO: ("127.0.0.1", 2)}


def read(document: dict[str, Any]) -> HttpApi:
    return read_http_api(Template(document))


def change(document: dict[str, Any], type: str, **properties: Any) -> dict[str, Any]:
    """A copy in which the first resource of `type` has other `properties`; None removes one."""
    changed = copy.deepcopy(document)
    resource = next(body for body in changed["Resources"].values() if body["Type"] == type)
    resource["Properties"].update(properties)
    resource["Properties"] = {name: value for name, value in resource["Properties"].items() if value is not None}
    return changed


def test_every_route_leads_to_its_service(document: dict[str, Any]) -> None:
    routes = {route.key: route for route in read(document).routes}
    assert {key: route.integration.service_name for key, route in routes.items()} == {
        "GET /dogs": DOGS,
        "GET /dogs/males": DOGS,
        "GET /dogs/females": DOGS,
        "POST /todo": TODO,
        "GET /todo": TODO,
        "GET /todo/{todoId}": TODO,
    }
    assert {route.integration.timeout for route in routes.values()} == {10}
    assert routes["POST /todo"].throttle == Throttle(10, 20)
    assert routes["GET /todo"].throttle == Throttle(3, 5)
    assert routes["GET /todo/{todoId}"].throttle == Throttle(50, 100)


class Recorder(Properties):
    """Notes the logical id and the path of every property that is taken; keys that are data are none."""

    taken: ClassVar[set[tuple[str, ...]]] = set()

    def __init__(self, where: str, values: dict[str, Any]) -> None:
        super().__init__(where, values)
        self.path: tuple[str, ...] = (where.partition(" ")[0],)
        self.keys_are_data = False

    def take(self, name: str, *default: Any) -> Any:
        if name in self._values and not self.keys_are_data:
            self.taken.add((*self.path, name))
        return super().take(name, *default)

    def _table(self, value: Any, *path: str) -> Properties:
        table = super()._table(value, *path)
        assert isinstance(table, Recorder)
        table.path = (*self.path, *path)
        return table

    def names(self) -> list[str]:
        self.keys_are_data = True
        return super().names()


def test_fails_when_any_property_that_was_read_has_another_name(
    document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("local.template.Properties", Recorder)
        read(document)
    paths = sorted(Recorder.taken)
    assert len(paths) > 100
    for logical_id, *path, name in paths:
        renamed = copy.deepcopy(document)
        table: Any = renamed["Resources"][logical_id]["Properties"]
        for step in path:
            table = table[int(step) if isinstance(table, list) else step]
        table[f"{name}Renamed"] = table.pop(name)
        with pytest.raises(TemplateError) as error:
            read(renamed)
        # Renaming the key of a table whose keys are data is found where the data is used.
        assert logical_id in str(error.value), (logical_id, path, name)


@pytest.mark.parametrize(
    ("type", "properties", "message"),
    [
        ("AWS::ApiGatewayV2::Api", {"ProtocolType": "WEBSOCKET"}, "ProtocolType is 'WEBSOCKET', known here: 'HTTP'"),
        ("AWS::ApiGatewayV2::Api", {"DisableExecuteApiEndpoint": True}, "unknown property DisableExecuteApiEndpoint"),
        ("AWS::ApiGatewayV2::Stage", {"StageName": "prod"}, "StageName is 'prod'"),
        ("AWS::ApiGatewayV2::Stage", {"RouteSettings": {"GET /cats": {"ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 1}}}, "RouteSettings for routes that do not exist"),
        ("AWS::ApiGatewayV2::Integration", {"IntegrationType": "AWS_PROXY"}, "IntegrationType is 'AWS_PROXY'"),
        ("AWS::ApiGatewayV2::Integration", {"TlsConfig": {}}, "unknown property TlsConfig"),
        ("AWS::ApiGatewayV2::Integration", {"RequestParameters": {"append:header.x": "y"}}, "append:header.x is not known"),
        ("AWS::ApiGatewayV2::Integration", {"RequestParameters": {"remove:header.x": ""}}, "remove:header.x is '', expected \"''\""),
        ("AWS::ApiGatewayV2::Integration", {"RequestParameters": {"remove:header.x": '""'}}, "expected \"''\""),
        ("AWS::ApiGatewayV2::Integration", {"RequestParameters": {"overwrite:header.x": "$context.requestId", "remove:header.X": "''"}},
         "remove:header.X: the header has another mapping already"),
        ("AWS::ApiGatewayV2::Integration", {"TimeoutInMillis": None}, "property TimeoutInMillis is missing"),
        ("AWS::ApiGatewayV2::Integration", {"IntegrationUri": "https://x"}, "expected a reference to a resource"),
        ("AWS::ApiGatewayV2::Route", {"AuthorizationType": "AWS_IAM"}, "AuthorizationType is 'AWS_IAM'"),
        ("AWS::ElasticLoadBalancingV2::Listener", {"Protocol": "TLS"}, "Protocol is 'TLS'"),
        ("AWS::ElasticLoadBalancingV2::TargetGroup", {"TargetType": "alb"}, "TargetType is 'alb'"),
        ("AWS::ElasticLoadBalancingV2::LoadBalancer", {"Scheme": "internet-facing"}, "Scheme is 'internet-facing'"),
        ("Custom::AWS", {"Create": "{}", "Update": "{}"}, "Create is not a lookup of one endpoint"),
        ("AWS::EC2::VPCEndpoint", {"VpcEndpointType": "Gateway"}, "VpcEndpointType is 'Gateway'"),
    ],
)  # fmt: skip
def test_fails_when_a_shape_is_unknown(
    document: dict[str, Any], type: str, properties: dict[str, Any], message: str
) -> None:
    with pytest.raises(TemplateError) as error:
        read(change(document, type, **properties))
    assert message in str(error.value)


@pytest.mark.parametrize("type", ["AWS::ApiGatewayV2::DomainName", "AWS::ElasticLoadBalancingV2::ListenerRule"])
def test_fails_when_a_resource_type_is_unknown(document: dict[str, Any], type: str) -> None:
    with pytest.raises(TemplateError, match=f"Extra: resource type {type} is not known here"):
        read({**document, "Resources": {**document["Resources"], "Extra": {"Type": type, "Properties": {}}}})


def test_fails_when_a_service_has_no_address(document: dict[str, Any]) -> None:
    with pytest.raises(TemplateError, match=f"no address for {TODO}; expected --endpoint {TODO}=127.0.0.1:PORT"):
        translate(read(document), {DOGS: ("127.0.0.1", 1)}, port=1, jwks="{}")


def test_fails_when_a_log_field_or_header_has_an_unknown_source(document: dict[str, Any]) -> None:
    stage = change(
        document,
        "AWS::ApiGatewayV2::Stage",
        AccessLogSettings={"DestinationArn": "x", "Format": '{"a": "$context.tls"}'},
    )
    with pytest.raises(TemplateError, match=r"access log format: \$context.tls is not known here"):
        translate(read(stage), ENDPOINTS, port=1, jwks="{}")
