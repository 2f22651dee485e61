"""The synthesized template, one fact a test; each name or comment says what goes wrong without it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aws_cdk.assertions import Match, Template

from tests.conftest import DOGS, TODO, synthesize

FOLDER = Path(__file__).parent.parent
NO_CLIENT_IP = {"Key": "preserve_client_ip.enabled", "Value": "false"}
HEADERS = {"overwrite:header.x-request-id": "$context.requestId", "remove:header.x-auth-subject": "''"}


@pytest.fixture(scope="module")
def template(document: dict[str, Any]) -> Template:
    return Template.from_json(document)


def test_fails_when_settings_are_missing_with_exit_code_2_and_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=FOLDER, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True
    )
    names = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("error: ")]
    expected = ["AWS_ACCOUNT", "AWS_REGION", "DOGNAME_SERVICE_NAME", "TODO_SERVICE_NAME"]
    assert (done.returncode, names) == (2, expected)


def test_reordering_the_registry_changes_nothing(document: dict[str, Any], tmp_path: Path) -> None:
    head, first, second = (FOLDER / "services.toml").read_text().split("\n[services.")
    start = second.index("  {")
    routes = second[start : second.index("]\n", start)].splitlines(keepends=True)
    shuffled = second.replace("".join(routes), "".join(reversed(routes)))
    registry = tmp_path / "services.toml"
    registry.write_text("\n[services.".join([head, shuffled, first]))
    assert synthesize(tmp_path / "cdk.out", SERVICES=str(registry)) == document


@pytest.mark.parametrize("type", ["InternetGateway", "NatGateway", "EIP", "EgressOnlyInternetGateway"])
def test_nothing_reaches_the_internet(template: Template, type: str) -> None:
    template.resource_count_is(f"AWS::EC2::{type}", 0)


@pytest.mark.parametrize("name", [DOGS, TODO])
def test_each_service_has_an_endpoint_in_both_subnets(template: Template, name: str) -> None:
    expected = {"ServiceName": name, "SubnetIds": [Match.any_value(), Match.any_value()]}
    template.has_resource_properties("AWS::EC2::VPCEndpoint", {"VpcEndpointType": "Interface", **expected})


def test_one_load_balancer_serves_all_because_each_costs_money(template: Template) -> None:
    template.resource_count_is("AWS::ElasticLoadBalancingV2::LoadBalancer", 1)
    template.has_resource_properties("AWS::ElasticLoadBalancingV2::Listener", {"Port": 8081})
    template.has_resource_properties("AWS::ElasticLoadBalancingV2::Listener", {"Port": 8082})


@pytest.mark.parametrize(
    ("type", "properties"),
    [
        # PrivateLink cannot keep the addresses of clients: the targets would get no connection.
        ("ElasticLoadBalancingV2::TargetGroup", {"TargetGroupAttributes": Match.array_with([NO_CLIENT_IP])}),
        # No client can pretend to be somebody else.
        ("ApiGatewayV2::Integration", {"RequestParameters": HEADERS}),
    ],
)
def test_every_resource_of_a_type_has(template: Template, type: str, properties: dict[str, Any]) -> None:
    template.all_resources_properties(f"AWS::{type}", properties)


def test_no_security_group_admits_an_address_range(template: Template) -> None:
    for group in template.find_resources("AWS::EC2::SecurityGroup").values():
        assert "SecurityGroupIngress" not in group["Properties"]
    for rule in template.find_resources("AWS::EC2::SecurityGroupIngress").values():
        assert "SourceSecurityGroupId" in rule["Properties"]


def test_a_lookup_is_filtered_ends_within_minutes_and_runs_again_when_the_interfaces_change(template: Template) -> None:
    # Unfiltered, the response is larger than a custom resource may return, and the create fails.
    lookups = template.find_resources("Custom::AWS").values()
    assert len(lookups) == 2
    for lookup in lookups:
        assert lookup["Properties"]["ServiceTimeout"] == "300"
        assert lookup["Properties"]["Create"] == lookup["Properties"]["Update"]
        assert '"outputPaths":["NetworkInterfaces.0.PrivateIpAddress"' in str(lookup["Properties"]["Create"])


def test_the_access_log_explains_a_401_and_a_5xx_within_the_quota(template: Template) -> None:
    [stage] = template.find_resources("AWS::ApiGatewayV2::Stage").values()
    log = stage["Properties"]["AccessLogSettings"]["Format"]
    assert len(log) <= 3 * 1024  # http-api-quotas: access log template size
    explaining = ("authorizer.error", "authorizer.claims.client_id", "integration.status", "integrationErrorMessage")
    assert {f"$context.{variable}" for variable in explaining} <= set(json.loads(log).values())


def test_every_route_is_throttled_and_its_own_limit_counts(template: Template) -> None:
    template.has_resource_properties(
        "AWS::ApiGatewayV2::Stage",
        {
            "StageName": "$default",
            "DefaultRouteSettings": {"ThrottlingRateLimit": 50, "ThrottlingBurstLimit": 100},
            "RouteSettings": {
                "POST /todo": {"ThrottlingRateLimit": 10, "ThrottlingBurstLimit": 20},
                "GET /todo": {"ThrottlingRateLimit": 3, "ThrottlingBurstLimit": 5},
            },
        },
    )


def test_the_stage_waits_for_routes_that_its_settings_name(template: Template) -> None:
    [stage] = template.find_resources("AWS::ApiGatewayV2::Stage").values()
    assert {*template.find_resources("AWS::ApiGatewayV2::Route")} <= {*stage["DependsOn"]}


def test_what_clients_and_providers_hold_on_to_keeps_its_logical_id(template: Template) -> None:
    # A changed id means a replaced resource: another public URL.
    assert list(template.find_resources("AWS::ApiGatewayV2::Api")) == ["ApiHttpApi2997B86B"]
    assert list(template.find_resources("AWS::ElasticLoadBalancingV2::LoadBalancer")) == ["LoadBalancerNlb0CEC888C"]


def test_the_output_has_the_blogs_name(template: Template) -> None:
    template.has_output("HttpApiEndpoint", {})
