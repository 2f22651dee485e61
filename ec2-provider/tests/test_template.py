"""The synthesized template, one fact a test; the name or the comment of a test says what goes wrong without the fact."""

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk.assertions import Match, Template

from app import build
from common.settings import SettingsError
from infra.checks import LAUNCHED
from tests.conftest import ENVIRON


def has(type: str, **properties: Any) -> tuple[str, dict[str, Any]]:
    return type, {"Properties": properties}


TABLE, POLICY, ENDPOINT = "AWS::DynamoDB::Table", "AWS::IAM::Policy", "AWS::EC2::VPCEndpoint"
GROUP, MACHINE, ALARM = "AWS::AutoScaling::AutoScalingGroup", "AWS::EC2::LaunchTemplate", "AWS::CloudWatch::Alarm"
OWN_TABLE = "DatabaseTableF104A135"
OWN_ARN = {"Fn::GetAtt": [OWN_TABLE, "Arn"]}
ASSET = ["arn:", {"Ref": "AWS::Partition"}, Match.string_like_regexp(r"^:s3:::cdk-[\w-]+/[0-9a-f]{64}\.gz$")]
RIGHTS = [
    {"Effect": "Allow", "Action": [f"dynamodb:{call}" for call in ("GetItem", "PutItem", "Scan")], "Resource": OWN_ARN},
    {"Effect": "Allow", "Action": "s3:GetObject", "Resource": {"Fn::Join": ["", ASSET]}},
]
BY_HEALTH = {"HealthCheckType": "ELB", "HealthCheckGracePeriod": 960}
PERCENTAGES = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200}
# A refresh does not outrun its instances: it waits for the grace period. And no alarm keeps the repairing deploy from starting:
# Auto Scaling starts no refresh while a listed alarm is in ALARM or INSUFFICIENT_DATA; a rollback is a refresh too.
REFRESH = Match.object_equals({**PERCENTAGES, "InstanceWarmup": 960})
BOTH_BOOTED = {"Properties": {"Count": 2}, "DependsOn": Match.array_with([Match.string_like_regexp("^FleetGroupASG")])}
FACTS: dict[str, tuple[str, dict[str, Any]]] = {
    "deleting the stack keeps the todos": (TABLE, {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}),
    "nobody deletes the table by mistake": has(TABLE, DeletionProtectionEnabled=True),
    "lost todos come back": has(TABLE, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}),
    "the check of the quota counts the instances": has(GROUP, MinSize=str(LAUNCHED // 2)),
    "an instance has the two vCPUs of that check": has(MACHINE, LaunchTemplateData={"InstanceType": "t4g.micro"}),
    "an instance that does not answer is replaced": has(GROUP, **BY_HEALTH),
    "no replacement leaves a gap": has(GROUP, InstanceMaintenancePolicy=PERCENTAGES),
    "no refresh does": (GROUP, {"UpdatePolicy": {"AutoScalingInstanceRefresh": {"Preferences": REFRESH}}}),
    "a deploy does not take back what Auto Scaling has added": has(GROUP, DesiredCapacity=Match.absent()),
    # Target tracking adds no second instance during this time.
    "CPU scaling sees a new instance as soon as it has booted": has(GROUP, DefaultInstanceWarmup=180),
    "only an instance itself reads its credentials": has(
        MACHINE, LaunchTemplateData={"MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}}
    ),
    "disks are encrypted": has(
        MACHINE, LaunchTemplateData={"BlockDeviceMappings": [Match.object_like({"Ebs": {"Encrypted": True}})]}
    ),
    "nobody has a key to an instance": has(MACHINE, LaunchTemplateData={"KeyName": Match.absent()}),
    "an instance uses its table, reads its bundle, and no more": has(POLICY, PolicyDocument={"Statement": RIGHTS}),
    "the first creation waits for both instances": ("AWS::CloudFormation::WaitCondition", BOTH_BOOTED),
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


@pytest.fixture(scope="module")
def adopting(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return synthesize(tmp_path_factory.mktemp("adopting"), TABLE_NAME="todo-b,todo-a")


@pytest.mark.parametrize("fact", FACTS)
def test_the_template_says_that(template: Template, fact: str) -> None:
    template.has_resource(*FACTS[fact])


@pytest.mark.parametrize("metric", ["ThrottledRequests", "SystemErrors"])
def test_an_alarm_speaks_when_dynamodb_refuses_or_fails(template: Template, metric: str) -> None:
    watched = Match.object_like({"MetricStat": {"Metric": {"MetricName": metric}}})
    template.has_resource(*has(ALARM, Metrics=Match.array_with([watched])))


def test_without_switches_no_endpoint_costs_money(template: Template) -> None:
    template.all_resources_properties(ENDPOINT, {"VpcEndpointType": "Gateway"})
    template.resource_count_is(ENDPOINT, 2)


@pytest.mark.parametrize(
    ("switch", "endpoints", "action"),
    [("INSTANCE_LOGS", ["logs"], "logs:PutLogEvents"), ("SSM", ["ssm", "ssmmessages"], "ssm:Update")],
)
def test_a_switch_adds_the_endpoints_that_cost_money_and_the_right_to_use_them(
    tmp_path: Path, template: Template, switch: str, endpoints: list[str], action: str
) -> None:
    on = synthesize(tmp_path, **{switch: "1"})
    interfaces = on.find_resources(*has(ENDPOINT, VpcEndpointType="Interface")).values()
    assert sorted(body["Properties"]["ServiceName"].split(".")[-1] for body in interfaces) == endpoints
    assert [action in str(each.find_resources(POLICY)) for each in (template, on)] == [False, True]


def test_connections_need_acceptance_if_the_provider_wants_it(tmp_path: Path, template: Template) -> None:
    for each, is_required in ((template, False), (synthesize(tmp_path, ACCEPTANCE="manual"), True)):
        each.has_resource(*has("AWS::EC2::VPCEndpointService", AcceptanceRequired=is_required))


def test_queries_need_the_log_that_a_switch_sends(tmp_path: Path, template: Template) -> None:
    template.resource_count_is("AWS::Logs::QueryDefinition", 0)
    synthesize(tmp_path, INSTANCE_LOGS="1").resource_count_is("AWS::Logs::QueryDefinition", 2)


def test_a_new_bundle_changes_the_role_and_not_the_endpoint_whose_policy_takes_minutes_to_act(
    tmp_path: Path, template: Template
) -> None:
    other = synthesize(tmp_path, b"another bundle")
    changes = [other.find_resources(type) != template.find_resources(type) for type in (POLICY, ENDPOINT)]
    assert changes == [True, False]


def test_deleting_the_stack_deletes_only_an_ephemeral_table_and_a_warning_says_so(tmp_path: Path) -> None:
    template = synthesize(tmp_path, EPHEMERAL="1")
    template.has_resource(TABLE, {"DeletionPolicy": "Delete", "Properties": {"DeletionProtectionEnabled": False}})
    # From the file: two packages install the class of an annotation, and either may win.
    metadata = json.loads((tmp_path / "cdk.out/ec2-provider.metadata.json").read_text())
    warnings = [each["data"] for entries in metadata.values() for each in entries if each["type"] == "aws:cdk:warning"]
    assert warnings == ["EPHEMERAL=1: destroying the stack will delete this table and all todos"]


def test_fails_when_the_bundle_is_missing_and_names_the_target() -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.tar\.gz does not exist; build it with: make bundle"):
        build({**ENVIRON, "BUNDLE": "nowhere.tar.gz"})


def test_instances_may_use_their_table_until_others_have_replaced_them(template: Template, adopting: Template) -> None:
    # A role and an endpoint policy change minutes before the first new instance serves.
    arn = ":dynamodb:us-west-2:333333333333:table"
    adopted = [{"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, f"{arn}/todo-{which}"]]} for which in "ba"]
    for stack, tables in ((template, OWN_ARN), (adopting, [*adopted, OWN_ARN])):
        policies = [*stack.find_resources(POLICY).values(), *stack.find_resources(ENDPOINT).values()]
        statements = [each for body in policies for each in body["Properties"]["PolicyDocument"]["Statement"]]
        assert [each["Resource"] for each in statements if "dynamodb" in str(each)] == [tables, tables]


def test_a_table_that_exists_is_adopted_so_that_a_restore_can_be_served(adopting: Template) -> None:
    assert "TABLE_NAME='todo-b'" in str(adopting.find_resources(MACHINE))
    adopting.has_output("tablename", {"Value": "todo-b"})
    # The stack's own stays as it is; while idle it costs nothing.
    assert list(adopting.find_resources(TABLE)) == [OWN_TABLE]
    alarms = [str(body) for body in adopting.find_resources(ALARM).values()]
    assert sorted(alarm.count("todo-b") for alarm in alarms) == [0, 3, 3]


@pytest.mark.parametrize(
    ("type", "id"),
    [
        (TABLE, OWN_TABLE),
        ("AWS::EC2::VPCEndpointService", "EndpointServiceCBC7E217"),
        ("AWS::ElasticLoadBalancingV2::LoadBalancer", "EndpointServiceNlb33FC43C5"),
    ],
)
def test_a_resource_that_other_teams_use_keeps_its_logical_id(template: Template, type: str, id: str) -> None:
    # CloudFormation replaces a resource whose id changes: todos would be lost, or endpoints point at nothing.
    assert list(template.find_resources(type)) == [id]


@pytest.mark.parametrize("name", ["ec2vpceendpointservicename", "loadbalancer"])
def test_the_outputs_have_the_names_that_other_teams_were_told(template: Template, name: str) -> None:
    template.has_output(name, {})
