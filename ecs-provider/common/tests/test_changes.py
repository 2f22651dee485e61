"""What stops a deploy: what others depend on is replaced, or a setting is taken back. Against moto."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import boto3
import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped] # it has no types
from moto import mock_aws

from common.changes import TYPES, Changes, compare, lift_termination_protection, lines, protect
from common.checks import CheckError
from common.settings import Settings, split, switch, variable

LINK, GROUP, BALANCER = (
    "AWS::ApiGatewayV2::VpcLink",
    "AWS::EC2::SecurityGroup",
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
)
ENVIRON = {"AWS_ACCOUNT": "123456789012", "AWS_REGION": "us-west-2"}


@dataclass(frozen=True, kw_only=True)
class AStack(Settings):
    stack: str = "a-stack"
    loud: bool = switch("LOUD", without="nobody hears it")
    supported_regions: tuple[str, ...] = variable("SUPPORTED_REGIONS", convert=split)


def template(*resources: tuple[str, str, Any], **remembered: str) -> dict[str, Any]:
    found = {name: {"Type": type, "Properties": properties} for name, type, properties in resources}
    return {"Resources": found} | ({"Metadata": {"DeployedWith": remembered}} if remembered else {})


TABLE = ("Table", "AWS::DynamoDB::Table", {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "TableName": "a",
         "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "BillingMode": "PAY_PER_REQUEST"})  # fmt: skip
QUEUE: tuple[str, str, Any] = ("Queue", "AWS::SQS::Queue", {})
OTHER_TABLE = (*TABLE[:2], TABLE[2] | {"TableName": "b"})
STOPPED = (
    "error: a-stack would change this, so nothing was deployed:\n"
    "  Table: is replaced, because TableName changes: the service serves a new, empty table, and all todos stay in the old one "
    "[REPLACE=Table]\n"
    "  LOUD: was deployed as 1 and is not set now: nobody hears it [ACCEPT=LOUD]\n"
    "to go on: make deploy ACCEPT=LOUD REPLACE=Table"
)


def link(group: str) -> list[tuple[str, str, Any]]:
    """A VPC link behind a security group with a description."""
    ids = [{"Fn::GetAtt": ["Group", "GroupId"]}]
    return [("Link", LINK, {"SecurityGroupIds": ids}), ("Group", GROUP, {"GroupDescription": group})]


@pytest.mark.parametrize(
    ("deployed", "new", "says"),
    [
        (link("a"), link("a"), []),
        (link("a"), link("b"), ["Link: is replaced, because SecurityGroupIds changes: every route …link [REPLACE=Link]"]),
        ([("Nlb", BALANCER, {})], [("New", BALANCER, {})], ["Nlb: is deleted: every request …load balancer [REPLACE=Nlb]"]),
        ([("Nlb", BALANCER, {"Subnets": ["a"]})], [("Nlb", BALANCER, {"Subnets": ["b"]})], []),
        ([QUEUE], [], []),
    ],
)  # fmt: skip
def test_what_others_depend_on_is_replaced_or_deleted(deployed: Any, new: Any, says: list[str]) -> None:
    found = lines(compare(template(*deployed), template(*new), AStack))
    assert len(found) == len(says)
    for line, (start, _, end) in zip(found, (each.partition("…") for each in says), strict=True):
        assert line.startswith(start) and line.endswith(end), line


def test_regions_of_a_provider_are_never_taken_back() -> None:
    [line] = lines(compare(template(SUPPORTED_REGIONS="eu-west-1"), template(), AStack))
    assert line.startswith("SUPPORTED_REGIONS: was deployed as eu-west-1 and is not set now: an endpoint service keeps")
    assert line.endswith("set the own region alone [refused]")


@pytest.mark.parametrize("type", TYPES)
def test_the_create_only_properties_are_those_of_cloudformation(type: str) -> None:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-west-2", type).schema
    paths = [*schema.get("createOnlyProperties", []), *schema.get("conditionalCreateOnlyProperties", [])]
    assert TYPES[type]["create_only"] == sorted(path.removeprefix("/properties/") for path in paths)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[boto3.Session]:
    """With a-stack, whose table others depend on; the new template has another table, and no LOUD."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    Path("cdk.out").mkdir()
    Path("cdk.out/a-stack.template.json").write_text(json.dumps(template(OTHER_TABLE, SIZE="2")))
    with mock_aws():
        session = boto3.Session(region_name="us-west-2")
        body = json.dumps(template(TABLE, QUEUE, LOUD="1"))
        session.client("cloudformation").create_stack(StackName="a-stack", TemplateBody=body)
        yield session


def denied(session: boto3.Session) -> list[str]:
    """The resources that the stack policy denies to replace."""
    policy = session.client("cloudformation").get_stack_policy(StackName="a-stack")["StackPolicyBody"]
    return [each["Resource"] for each in json.loads(policy)["Statement"] if each["Effect"] == "Deny"]


def test_a_deploy_stops_until_every_change_is_named_and_may_replace_that_alone(
    session: boto3.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = AStack.read(ENVIRON)
    with pytest.raises(CheckError) as stopped:
        Changes({}).check(session, settings)
    assert str(stopped.value) == STOPPED
    with pytest.raises(CheckError, match=r"\n  LOUD: was .*\nto go on: make deploy ACCEPT=LOUD REPLACE=Table$"):
        Changes({"REPLACE": "Table"}).check(session, settings)
    assert "StackPolicyBody" not in session.client("cloudformation").get_stack_policy(StackName="a-stack")
    protect(session, settings)
    assert denied(session) == ["LogicalResourceId/Table"]
    Changes({"REPLACE": "Table", "ACCEPT": "LOUD,GET /x"}).check(session, settings)
    assert denied(session) == []
    told = capsys.readouterr().out
    assert told.startswith("ACCEPT names GET /x, which no change of this deploy asks for\naccepted: Table: is replaced")


def test_an_explanation_has_every_line_and_ends_well(
    session: boto3.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    Changes({}).explain(session, AStack.read(ENVIRON))
    first, *others = capsys.readouterr().out.splitlines()
    assert first == "a-stack: what a deploy changes for others"
    assert others == [*STOPPED.splitlines()[1:-1], "  SIZE: not set becomes 2"]
    assert json.loads(Path(".local/deployed.json").read_text())["Metadata"] == {"DeployedWith": {"LOUD": "1"}}


def test_before_the_first_deploy_nothing_is_compared(
    session: boto3.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    session.client("cloudformation").delete_stack(StackName="a-stack")
    settings = AStack.read(ENVIRON)
    for step in (Changes({}).explain, Changes({}).check, protect, lift_termination_protection):
        step(session, settings)
    assert capsys.readouterr().out == "a-stack: not deployed yet, all is new\n"


def test_a_stack_that_was_never_made_can_be_deleted_by_the_cdk_cli() -> None:
    # moto cannot change the protection.
    session = MagicMock()
    stack = {"StackStatus": "ROLLBACK_COMPLETE", "EnableTerminationProtection": True}
    session.client().describe_stacks.return_value = {"Stacks": [stack]}
    Changes({}).check(session, AStack.read(ENVIRON))
    session.client().update_termination_protection.assert_called_once_with(
        StackName="a-stack", EnableTerminationProtection=False
    )
