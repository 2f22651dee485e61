"""The synthesized template, one fact a test; the name or the comment of a test says what goes wrong without the fact."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk.assertions import Match, Template

from app import build
from common.settings import SettingsError
from infra.checks import LAUNCHED

FOLDER = Path(__file__).parent.parent
ENVIRON = {
    "AWS_ACCOUNT": "333333333333",
    "AWS_REGION": "us-west-2",
    "API_GATEWAY_ACCOUNT_ARN": "arn:aws:iam::111111111111:root",
}


def synthesize(folder: Path, content: bytes = b"a small bundle", /, **environ: str) -> Template:
    """The template for a bundle of that content; `environ` is added to a complete one."""
    bundle = folder / "bundle.tar.gz"
    bundle.write_bytes(content)
    app = build({**ENVIRON, "BUNDLE": str(bundle), **environ}, outdir=str(folder / "cdk.out"))
    stack = app.node.find_child("ec2-provider")
    assert isinstance(stack, Stack)
    return Template.from_stack(stack)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return synthesize(tmp_path_factory.mktemp("plain"))


def only(template: Template, type: str) -> dict[str, Any]:
    """The one resource of this type."""
    [resource] = template.find_resources(type).values()
    return dict(resource)


def test_a_new_bundle_changes_the_role_and_not_the_endpoint_whose_policy_takes_minutes_to_act(
    tmp_path: Path, template: Template
) -> None:
    other = synthesize(tmp_path, b"another bundle")
    endpoints = "AWS::EC2::VPCEndpoint"
    assert other.find_resources(endpoints) == template.find_resources(endpoints)
    assert other.find_resources("AWS::IAM::Policy") != template.find_resources("AWS::IAM::Policy")


def test_deleting_the_stack_deletes_only_an_ephemeral_table_and_a_warning_says_so(tmp_path: Path) -> None:
    table = only(synthesize(tmp_path, EPHEMERAL="1"), "AWS::DynamoDB::Table")
    assert (table["DeletionPolicy"], table["Properties"]["DeletionProtectionEnabled"]) == ("Delete", False)
    # From the file: two packages install the class of an annotation, and either may win.
    metadata = json.loads((tmp_path / "cdk.out/ec2-provider.metadata.json").read_text())
    warnings = [each["data"] for entries in metadata.values() for each in entries if each["type"] == "aws:cdk:warning"]
    assert warnings == ["EPHEMERAL=1: destroying the stack will delete this table and all todos"]


def test_todos_survive_the_stack_and_mistakes(template: Template) -> None:
    table = only(template, "AWS::DynamoDB::Table")
    kept = {"DeletionProtectionEnabled": True, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
    assert table["Properties"] | kept == table["Properties"]


@pytest.mark.parametrize(
    ("switch", "endpoints", "action"),
    [("INSTANCE_LOGS", ["logs"], "logs:PutLogEvents"), ("SSM", ["ssm", "ssmmessages"], "ssm:Update")],
)
def test_a_switch_adds_the_endpoints_that_cost_money_and_the_right_to_use_them(
    tmp_path: Path, template: Template, switch: str, endpoints: list[str], action: str
) -> None:
    on = synthesize(tmp_path, **{switch: "1"})
    interfaces = on.find_resources("AWS::EC2::VPCEndpoint", {"Properties": {"VpcEndpointType": "Interface"}})
    assert sorted(body["Properties"]["ServiceName"].split(".")[-1] for body in interfaces.values()) == endpoints
    rights = [str(each.find_resources("AWS::IAM::Policy")) for each in (template, on)]
    assert [action in each for each in rights] == [False, True]


def test_without_switches_no_endpoint_costs_money(template: Template) -> None:
    template.all_resources_properties("AWS::EC2::VPCEndpoint", {"VpcEndpointType": "Gateway"})
    template.resource_count_is("AWS::EC2::VPCEndpoint", 2)


def test_fails_when_the_bundle_is_missing_and_names_the_target() -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.tar\.gz does not exist; build it with: make bundle"):
        build({**ENVIRON, "BUNDLE": "nowhere.tar.gz"})


def test_fails_when_settings_are_missing_with_exit_code_2_and_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=FOLDER, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True
    )
    names = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert (done.returncode, names) == (2, ["AWS_ACCOUNT", "AWS_REGION", "API_GATEWAY_ACCOUNT_ARN"])


@pytest.mark.parametrize("type", ["InternetGateway", "NatGateway", "EIP", "EgressOnlyInternetGateway"])
def test_nothing_reaches_the_internet(template: Template, type: str) -> None:
    template.resource_count_is(f"AWS::EC2::{type}", 0)


@pytest.fixture(scope="module")
def group(template: Template) -> dict[str, Any]:
    return only(template, "AWS::AutoScaling::AutoScalingGroup")


def refresh(group: dict[str, Any]) -> dict[str, Any]:
    return dict(group["UpdatePolicy"]["AutoScalingInstanceRefresh"]["Preferences"])


def test_two_instances_are_replaced_without_a_gap(group: dict[str, Any]) -> None:
    percentages = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200}
    expected = {"InstanceMaintenancePolicy": percentages, "MinSize": "2", "HealthCheckType": "ELB"}
    assert group["Properties"] | expected == group["Properties"]
    assert refresh(group) | percentages == refresh(group)


def test_the_check_of_the_quota_counts_as_many_vcpus_as_a_deploy_launches(
    template: Template, group: dict[str, Any]
) -> None:
    template.has_resource_properties("AWS::EC2::LaunchTemplate", {"LaunchTemplateData": {"InstanceType": "t4g.micro"}})
    assert int(group["Properties"]["MinSize"]) * 2 == LAUNCHED


def test_a_deploy_does_not_take_back_what_autoscaling_has_added(group: dict[str, Any]) -> None:
    assert "DesiredCapacity" not in group["Properties"]


def test_no_alarm_keeps_the_repairing_deploy_from_starting(group: dict[str, Any]) -> None:
    # Auto Scaling starts no refresh while a listed alarm is in ALARM or INSUFFICIENT_DATA; a rollback is a refresh too.
    assert refresh(group).keys() == {"InstanceWarmup", "MaxHealthyPercentage", "MinHealthyPercentage"}


def test_a_refresh_does_not_outrun_its_instances(group: dict[str, Any]) -> None:
    assert refresh(group)["InstanceWarmup"] >= group["Properties"]["HealthCheckGracePeriod"] > 0


def test_cpu_scaling_sees_a_new_instance_as_soon_as_it_has_booted(group: dict[str, Any]) -> None:
    # Target tracking adds no second instance during this time.
    assert group["Properties"]["DefaultInstanceWarmup"] == 180


@pytest.mark.parametrize("metric", ["ThrottledRequests", "SystemErrors"])
def test_an_alarm_speaks_when_dynamodb_refuses_or_fails(template: Template, metric: str) -> None:
    alarms = template.find_resources("AWS::CloudWatch::Alarm").values()
    assert [alarm for alarm in alarms if f"'MetricName': '{metric}'" in str(alarm["Properties"].get("Metrics"))]


def test_instances_guard_their_credentials_and_disks(template: Template) -> None:
    data = only(template, "AWS::EC2::LaunchTemplate")["Properties"]["LaunchTemplateData"]
    assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    assert [mapping["Ebs"]["Encrypted"] for mapping in data["BlockDeviceMappings"]] == [True]
    assert "KeyName" not in data


def test_an_instance_reads_its_bundle_and_uses_its_table_and_nothing_else(template: Template) -> None:
    statements = only(template, "AWS::IAM::Policy")["Properties"]["PolicyDocument"]["Statement"]
    assert [statement["Action"] for statement in statements] == [
        ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"],
        "s3:GetObject",
    ]
    assert not any("*" in str(statement["Resource"]) for statement in statements)


@pytest.fixture(scope="module")
def adopting(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return synthesize(tmp_path_factory.mktemp("adopting"), TABLE_NAME="todo-b,todo-a")


def test_instances_may_use_their_table_until_others_have_replaced_them(template: Template, adopting: Template) -> None:
    # A role and an endpoint policy change minutes before the first new instance serves.
    arn = ":dynamodb:us-west-2:333333333333:table"
    adopted = [{"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, f"{arn}/todo-{which}"]]} for which in "ba"]
    own = {"Fn::GetAtt": ["DatabaseTableF104A135", "Arn"]}
    for tables, stack in ((own, template), ([*adopted, own], adopting)):
        for type in ("AWS::IAM::Policy", "AWS::EC2::VPCEndpoint"):
            documents = [body["Properties"]["PolicyDocument"] for body in stack.find_resources(type).values()]
            [statement] = [each for document in documents for each in document["Statement"] if "dynamodb" in str(each)]
            assert statement["Resource"] == tables


def test_a_table_that_exists_is_adopted_so_that_a_restore_can_be_served(adopting: Template) -> None:
    assert "TABLE_NAME='todo-b'" in str(adopting.find_resources("AWS::EC2::LaunchTemplate"))
    adopting.has_output("tablename", {"Value": "todo-b"})
    # The stack's own stays as it is; while idle it costs nothing.
    assert list(adopting.find_resources("AWS::DynamoDB::Table")) == ["DatabaseTableF104A135"]
    alarms = [str(body) for body in adopting.find_resources("AWS::CloudWatch::Alarm").values()]
    assert sorted(alarm.count("todo-b") for alarm in alarms) == [0, 3, 3]


def test_the_first_creation_waits_for_both_instances(template: Template) -> None:
    [group] = template.find_resources("AWS::AutoScaling::AutoScalingGroup")
    expected = {"Properties": Match.object_like({"Count": 2}), "DependsOn": Match.array_with([group])}
    template.has_resource("AWS::CloudFormation::WaitCondition", expected)


@pytest.mark.parametrize(
    ("type", "id"),
    [
        ("DynamoDB::Table", "DatabaseTableF104A135"),
        ("EC2::VPCEndpointService", "EndpointServiceCBC7E217"),
        ("ElasticLoadBalancingV2::LoadBalancer", "EndpointServiceNlb33FC43C5"),
    ],
)
def test_a_resource_that_other_teams_use_keeps_its_logical_id(template: Template, type: str, id: str) -> None:
    # CloudFormation replaces a resource whose id changes: todos would be lost, or endpoints point at nothing.
    assert list(template.find_resources(f"AWS::{type}")) == [id]


@pytest.mark.parametrize("name", ["ec2vpceendpointservicename", "loadbalancer"])
def test_the_outputs_have_the_names_that_other_teams_were_told(template: Template, name: str) -> None:
    template.has_output(name, {})
