"""The table that instances serve: the checks of an adopted one, of a change to another one, and of one that a failed creation left."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.cloudformation.models import cloudformation_backends

from common.checks import CheckError
from infra.checks import check_table, report_left_table
from infra.settings import STACK, TAGS, Ec2Settings
from tests.conftest import ENVIRON, table_with_key


@pytest.fixture
def session() -> Iterator[boto3.Session]:
    with mock_aws():
        yield boto3.Session(region_name="us-west-2")


def create_table(session: boto3.Session, *, key: str = "id", kept: bool = True) -> None:
    """todo-b, `kept` as the stack keeps its own; a restore brings none of it back."""
    dynamodb = session.client("dynamodb")
    tags: Any = [{"Key": key, "Value": value} for key, value in TAGS.items() if kept]
    dynamodb.create_table(TableName="todo-b", DeletionProtectionEnabled=kept, Tags=tags, **table_with_key(key))
    recovery: Any = {"PointInTimeRecoveryEnabled": kept}
    dynamodb.update_continuous_backups(TableName="todo-b", PointInTimeRecoverySpecification=recovery)


def deploy(session: boto3.Session, *, serves: str | None = None) -> str:
    """A stack with its own table, which it serves unless it `serves` another; gives the name of its own."""
    resources = {"T": {"Type": "AWS::DynamoDB::Table", "Properties": table_with_key("id")}}
    template = {"Resources": resources, "Outputs": {"tablename": {"Value": serves or {"Ref": "T"}}}}
    cloudformation = session.client("cloudformation")
    cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps(template))
    [own] = cloudformation.list_stack_resources(StackName=STACK)["StackResourceSummaries"]
    return str(own["PhysicalResourceId"])


def check(session: boto3.Session, table_name: str) -> None:
    check_table(session, Ec2Settings.read({**ENVIRON, "TABLE_NAME": table_name}))


def test_fails_when_the_table_to_adopt_is_not_there_or_has_another_key(session: boto3.Session) -> None:
    with pytest.raises(CheckError, match=r"account 333333333333 does not have in us-west-2; its .* list-tables"):
        check(session, "todo-b")
    create_table(session, key="name")
    with pytest.raises(CheckError, match=r"is ACTIVE and has the key .*'name'.*, expected ACTIVE and .*'id'"):
        check(session, "todo-b")


def test_fails_when_a_restored_table_is_not_kept_like_the_stack_s_own(session: boto3.Session) -> None:
    create_table(session, kept=False)
    with pytest.raises(CheckError) as error:
        check(session, "todo-b")
    # They are pasted at night: each must be whole.
    assert str(error.value).splitlines()[1:] == [
        "  aws dynamodb update-continuous-backups --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true "
        "--region us-west-2 --table-name todo-b",
        "  aws dynamodb update-table --region us-west-2 --table-name todo-b --deletion-protection-enabled",
        "  aws dynamodb tag-resource --region us-west-2 --resource-arn arn:aws:dynamodb:us-west-2:123456789012:table/todo-b "
        "--tags Key=owner,Value=todo-team Key=service,Value=todo Key=cost-center,Value=todo",
    ]  # fmt: skip


def test_nothing_is_said_of_a_first_deploy_or_an_unchanged_table(
    session: boto3.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    check(session, "")
    create_table(session)
    check(session, "todo-b")
    deploy(session)
    check(session, "")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("serves", "table_name"), [(None, "todo-b"), ("todo-a", "todo-b,todo-a")])
def test_a_change_that_cuts_nobody_off_is_said_with_what_it_means(
    session: boto3.Session, capsys: pytest.CaptureFixture[str], serves: str | None, table_name: str
) -> None:
    create_table(session)
    served = deploy(session, serves=serves)
    check(session, table_name)
    assert capsys.readouterr().out.startswith(
        f"the table to serve changes from {serves or served} to todo-b: until the old instances are replaced"
    )


@pytest.mark.parametrize("back", [True, False])
def test_fails_when_a_change_would_cut_old_instances_off_and_names_the_way(session: boto3.Session, back: bool) -> None:
    create_table(session)
    own = deploy(session, serves="todo-a")
    wanted = own if back else "todo-b"
    with pytest.raises(CheckError, match=rf"serve the table todo-a, .*: TABLE_NAME={wanted},todo-a; a later deploy"):
        check(session, "" if back else "todo-b")


def test_a_failed_update_leaves_no_table(session: boto3.Session, capsys: pytest.CaptureFixture[str]) -> None:
    # The rehearsal has the failed creation.
    deploy(session)
    [stack] = cloudformation_backends["123456789012"]["us-west-2"].stacks.values()
    stack.status = "UPDATE_ROLLBACK_COMPLETE"
    report_left_table(session, Ec2Settings.read(ENVIRON))
    assert capsys.readouterr().err == ""
