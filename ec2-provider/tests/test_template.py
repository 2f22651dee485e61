"""The synthesized template, one fact a test; each name or comment says what goes wrong without it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from aws_cdk import Stack
from aws_cdk.assertions import Match, Template

from app import build
from infra.settings import SettingsError

FOLDER = Path(__file__).parent.parent
ENVIRON = {
    "AWS_ACCOUNT": "333333333333",
    "AWS_REGION": "us-west-2",
    "API_GATEWAY_ACCOUNT_ARN": "arn:aws:iam::111111111111:root",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    bundle = tmp_path_factory.mktemp("bundle") / "bundle.tar.gz"
    bundle.write_bytes(b"a small bundle")
    app = build({**ENVIRON, "BUNDLE": str(bundle)}, outdir=str(tmp_path_factory.mktemp("cdk.out")))
    stack = app.node.find_child("ec2-provider")
    assert isinstance(stack, Stack)
    return Template.from_stack(stack)


def test_fails_when_the_bundle_is_missing_and_names_the_target() -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.tar\.gz does not exist; build it with: make bundle"):
        build({**ENVIRON, "BUNDLE": "nowhere.tar.gz"})


def test_fails_when_settings_are_missing_with_exit_code_2_and_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=FOLDER,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    names = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert (done.returncode, names) == (2, ["AWS_ACCOUNT", "AWS_REGION", "API_GATEWAY_ACCOUNT_ARN"])


@pytest.mark.parametrize("type", ["InternetGateway", "NatGateway", "EIP", "EgressOnlyInternetGateway"])
def test_nothing_reaches_the_internet(template: Template, type: str) -> None:
    template.resource_count_is(f"AWS::EC2::{type}", 0)


def test_no_endpoint_is_paid_for(template: Template) -> None:
    template.all_resources_properties("AWS::EC2::VPCEndpoint", {"VpcEndpointType": "Gateway"})
    template.resource_count_is("AWS::EC2::VPCEndpoint", 2)


def test_todos_survive_the_stack_and_mistakes(template: Template) -> None:
    template.has_resource(
        "AWS::DynamoDB::Table",
        {
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "DeletionProtectionEnabled": True,
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            },
        },
    )


def test_two_instances_are_replaced_without_a_gap(template: Template) -> None:
    template.has_resource(
        "AWS::AutoScaling::AutoScalingGroup",
        {
            "Properties": {"MinSize": "2", "HealthCheckType": "ELB", "DesiredCapacity": Match.absent()},
            "UpdatePolicy": {
                "AutoScalingInstanceRefresh": Match.object_like(
                    {"Strategy": "Rolling", "Preferences": Match.object_like({"MinHealthyPercentage": 100})}
                )
            },
        },
    )


def test_an_alarm_stops_a_bad_refresh(template: Template) -> None:
    [group] = template.find_resources("AWS::AutoScaling::AutoScalingGroup").values()
    preferences = group["UpdatePolicy"]["AutoScalingInstanceRefresh"]["Preferences"]
    [alarm] = preferences["AlarmSpecification"]["Alarms"]
    properties = template.find_resources("AWS::CloudWatch::Alarm")[alarm["Ref"]]["Properties"]
    assert (properties["MetricName"], properties["Threshold"]) == ("HealthyHostCount", 2)


def test_warm_up_lasts_as_long_as_the_grace_period_or_a_refresh_outruns_its_instances(
    template: Template,
) -> None:
    [group] = template.find_resources("AWS::AutoScaling::AutoScalingGroup").values()
    assert group["Properties"]["DefaultInstanceWarmup"] >= group["Properties"]["HealthCheckGracePeriod"] > 0


@pytest.mark.parametrize("metric", ["ThrottledRequests", "SystemErrors"])
def test_an_alarm_speaks_when_dynamodb_refuses_or_fails(template: Template, metric: str) -> None:
    alarms = template.find_resources("AWS::CloudWatch::Alarm").values()
    assert [
        alarm for alarm in alarms if f"'MetricName': '{metric}'" in str(alarm["Properties"].get("Metrics"))
    ]


def test_instances_guard_their_credentials_and_disks(template: Template) -> None:
    template.has_resource_properties(
        "AWS::EC2::LaunchTemplate",
        {
            "LaunchTemplateData": Match.object_like(
                {
                    "KeyName": Match.absent(),
                    "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
                    "BlockDeviceMappings": [
                        Match.object_like(
                            {"Ebs": Match.object_like({"Encrypted": True, "VolumeType": "gp3"})}
                        )
                    ],
                }
            )
        },
    )


def test_an_instance_reads_its_bundle_and_uses_its_table_and_nothing_else(template: Template) -> None:
    statements = [
        statement
        for policy in template.find_resources("AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]
    assert [statement["Action"] for statement in statements] == [
        ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"],
        "s3:GetObject",
    ]
    assert not any("*" in str(statement["Resource"]) for statement in statements)


def test_the_first_creation_waits_for_both_instances(template: Template) -> None:
    [group] = template.find_resources("AWS::AutoScaling::AutoScalingGroup")
    template.has_resource(
        "AWS::CloudFormation::WaitCondition",
        {"Properties": Match.object_like({"Count": 2}), "DependsOn": Match.array_with([group])},
    )


def test_what_other_teams_hold_on_to_keeps_its_logical_id(template: Template) -> None:
    # A changed id means a replaced resource: lost todos, or an endpoint that points at nothing.
    assert list(template.find_resources("AWS::DynamoDB::Table")) == ["DatabaseTableF104A135"]
    assert list(template.find_resources("AWS::EC2::VPCEndpointService")) == ["EndpointServiceCBC7E217"]
    assert list(template.find_resources("AWS::ElasticLoadBalancingV2::LoadBalancer")) == [
        "EndpointServiceNlb33FC43C5"
    ]


@pytest.mark.parametrize("name", ["ec2vpceendpointservicename", "loadbalancer"])
def test_the_outputs_have_the_names_that_other_teams_were_told(template: Template, name: str) -> None:
    template.has_output(name, {})
