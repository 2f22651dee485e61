"""Each option of the registry, on and off, in the template; and a third team that joins by an entry alone."""

import re
from pathlib import Path
from typing import Any

import pytest
from aws_cdk.assertions import Match, Template

from app import build
from tests.conftest import CATS, ENVIRON, synthesize


def routes(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    resources = [body for body in document["Resources"].values() if body["Type"] == "AWS::ApiGatewayV2::Route"]
    return {body["Properties"]["RouteKey"]: body["Properties"] for body in resources}


def test_without_jwt_every_route_is_open_and_there_is_no_authorizer(document: dict[str, Any]) -> None:
    assert {route["AuthorizationType"] for route in routes(document).values()} == {"NONE"}
    Template.from_json(document).resource_count_is("AWS::ApiGatewayV2::Authorizer", 0)


def test_with_jwt_a_route_asks_for_the_token_and_scopes_of_its_entry(secured: dict[str, Any]) -> None:
    asked = {key: route.get("AuthorizationScopes") for key, route in routes(secured).items() if "AuthorizerId" in route}
    assert asked == {
        "GET /dogs/females": None,
        "POST /todo": ["todo.write"],
        "GET /todo": ["todo.read", "todo.write"],
        "GET /todo/{todoId}": ["todo.read", "todo.write"],
        "GET /cats/{catId}": ["cats.read"],
    }
    Template.from_json(secured).has_resource_properties(
        "AWS::ApiGatewayV2::Authorizer",
        {"JwtConfiguration": {"Issuer": "https://issuer.example.com/", "Audience": ["todo-api"]}},
    )


def test_an_authorized_route_hands_on_the_verified_subject(secured: dict[str, Any]) -> None:
    # And an open route of the same service removes it: they need an integration each.
    template = Template.from_json(secured)
    overwrite = {"overwrite:header.x-auth-subject": "$context.authorizer.claims.sub"}
    template.resource_properties_count_is(
        "AWS::ApiGatewayV2::Integration", {"RequestParameters": Match.object_like(overwrite)}, 3
    )
    remove = {"remove:header.x-auth-subject": "''"}
    template.resource_properties_count_is(
        "AWS::ApiGatewayV2::Integration", {"RequestParameters": Match.object_like(remove)}, 1
    )


def test_cors_is_what_the_registry_says_or_nothing(document: dict[str, Any], secured: dict[str, Any]) -> None:
    off, on = ({"CorsConfiguration": Match.absent()}, {"CorsConfiguration": Match.object_like({"AllowOrigins": ["https://app.example.com"]})})  # fmt: skip
    Template.from_json(document).has_resource_properties("AWS::ApiGatewayV2::Api", off)
    Template.from_json(secured).has_resource_properties("AWS::ApiGatewayV2::Api", on)


def test_alarms_go_to_the_topic_if_there_is_one(document: dict[str, Any], secured: dict[str, Any]) -> None:
    topic = ["arn:aws:sns:us-west-2:111111111111:alarms"]
    Template.from_json(document).all_resources_properties("AWS::CloudWatch::Alarm", {"AlarmActions": Match.absent()})
    Template.from_json(secured).all_resources_properties("AWS::CloudWatch::Alarm", {"AlarmActions": topic})


@pytest.mark.parametrize("pattern", ['{ $.integrationError != "-" }', '{ $.status = "429" }'])
def test_what_http_apis_have_no_metric_for_is_counted_in_the_access_log(document: dict[str, Any], pattern: str) -> None:
    Template.from_json(document).has_resource_properties("AWS::Logs::MetricFilter", {"FilterPattern": pattern})


def test_the_access_log_is_kept_for_a_month(document: dict[str, Any]) -> None:
    Template.from_json(document).all_resources_properties("AWS::Logs::LogGroup", {"RetentionInDays": 30})


def test_a_third_team_joins_by_an_entry_and_a_variable(secured: dict[str, Any]) -> None:
    template = Template.from_json(secured)
    template.has_resource_properties("AWS::EC2::VPCEndpoint", {"ServiceName": CATS})
    template.has_resource_properties("AWS::ElasticLoadBalancingV2::Listener", {"Port": 8083})
    template.has_resource_properties(
        "AWS::ElasticLoadBalancingV2::TargetGroup", {"Port": 9090, "HealthCheckPath": "/ping"}
    )
    template.has_resource_properties("AWS::ApiGatewayV2::Integration", {"TimeoutInMillis": 20000})
    template.has_resource_properties("AWS::CloudWatch::Alarm", {"AlarmDescription": Match.string_like_regexp("^cats:")})
    settings = {"ThrottlingRateLimit": 5, "ThrottlingBurstLimit": 7}
    template.has_resource_properties(
        "AWS::ApiGatewayV2::Stage", {"RouteSettings": Match.object_like({"GET /cats/{catId}": settings})}
    )


def test_the_third_team_changes_nothing_of_the_others(document: dict[str, Any], secured: dict[str, Any]) -> None:
    # A changed logical id is a replaced endpoint or listener: an outage of a team that did nothing.
    kinds = (
        "AWS::EC2::VPCEndpoint",
        "AWS::ElasticLoadBalancingV2::Listener",
        "AWS::ElasticLoadBalancingV2::TargetGroup",
    )
    kept = {name: body for name, body in document["Resources"].items() if body["Type"] in kinds}
    assert kept.items() <= secured["Resources"].items()


NAMED = """
[services.{name}]
endpoint_service = "S{number}"
endpoint_port = 8080
listener_port = {number}
health_path = "/"
timeout_seconds = 10
routes = [{{ key = "GET /{number}" }}]
"""


def test_a_service_may_have_the_name_of_any_other_construct(tmp_path: Path) -> None:
    ids = {construct.node.id for construct in build(ENVIRON, outdir=str(tmp_path)).node.find_all()}
    lower = {re.sub("(?<=[a-z])(?=[A-Z])", hyphen, id).lower() for id in ids for hyphen in ("", "-")}
    names = sorted(name for name in lower if re.fullmatch("[a-z][a-z0-9-]{0,29}", name))
    assert {"api", "alarms", "load-balancer", "latency", "throttled", "todo-none", "default"} <= set(names)
    for half in (names[::2], names[1::2]):  # a load balancer has 50 listeners
        registry = "[api]\nthrottle = { rate = 1, burst = 1 }" + "".join(
            NAMED.format(name=name, number=number) for number, name in enumerate(half, start=1)
        )
        (tmp_path / "services.toml").write_text(registry)
        services = {f"S{number}": f"{CATS}{number:02}" for number in range(1, len(half) + 1)}
        document = synthesize(tmp_path / half[0], SERVICES=str(tmp_path / "services.toml"), **services)
        Template.from_json(document).resource_count_is("AWS::EC2::VPCEndpoint", len(half))
