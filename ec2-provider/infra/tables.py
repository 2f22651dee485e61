"""The table that the instances serve: a change must interrupt no instance, and an adopted table needs the same protection."""

from __future__ import annotations

import sys
from typing import Any

import boto3

from common.checks import CheckError, stack_resources
from common.settings import Settings
from infra.settings import Ec2Settings

# The stack tags all its resources with them; an adopted table must have them too.
TAGS = {"owner": "todo-team", "service": "todo", "cost-center": "todo"}


def adopted_tables(settings: Ec2Settings) -> list[str]:
    """The names in TABLE_NAME: the table to serve, and a table that old instances use until new ones replace them."""
    return list(dict.fromkeys(filter(None, settings.table_name.split(","))))


def check_table(session: boto3.Session, settings: Ec2Settings) -> None:
    """The new table must be fit to be served, and old instances must keep the right to use theirs."""
    adopted, own = adopted_tables(settings), stack_resources(session, settings, "AWS::DynamoDB::Table")
    if adopted:
        _check_adopted(session, settings, adopted[0])
    outputs = _describe_stack(session, settings).get("Outputs", []) if own else []
    served = next((output["OutputValue"] for output in outputs if output["OutputKey"] == "tablename"), None)
    allowed = [*adopted, *own]
    if served and served not in allowed:
        raise CheckError(
            f"the instances of {settings.stack} serve the table {served}, and this deploy would take it from them at once; the "
            "first new ones answer about 5 minutes later (a boot, and the minutes that a changed endpoint policy takes), "
            f"until then every request gets a 503; to avoid it, allow both until the instances are replaced: "
            f"TABLE_NAME={allowed[0]},{served}; a later deploy may leave {served} out"
        )
    if served and served != allowed[0]:
        print(
            f"the table to serve changes from {served} to {allowed[0]}: until the old instances are replaced, for about 20 "
            f"minutes, both are served, and a todo that is written to {served} meanwhile stays there"
        )


def _check_adopted(session: boto3.Session, settings: Settings, name: str) -> None:
    """A restore brings back neither backups, nor protection, nor tags."""
    where = f"--region {settings.region}"
    dynamodb = session.client("dynamodb", region_name=settings.region)
    try:
        table = dynamodb.describe_table(TableName=name)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        raise CheckError(
            f"TABLE_NAME is {name}, which account {settings.account} does not have in {settings.region}; "
            f"its tables: aws dynamodb list-tables {where}"
        ) from None
    key = [{"AttributeName": "id", "KeyType": "HASH"}]
    if (table["TableStatus"], table["KeySchema"]) != ("ACTIVE", key):
        raise CheckError(
            f"the table {name} is {table['TableStatus']} and has the key {table['KeySchema']}, expected ACTIVE and {key}; "
            "wait until it is restored, or name another"
        )
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    pages = dynamodb.get_paginator("list_tags_of_resource").paginate(ResourceArn=table["TableArn"])
    found = {tag["Key"]: tag["Value"] for tag in pages.search("Tags[]")}
    tags = " ".join(f"Key={key},Value={value}" for key, value in TAGS.items())
    repairs = {
        f"update-continuous-backups {where} --table-name {name} "
        "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true": recovery == "ENABLED",
        f"update-table {where} --table-name {name} --deletion-protection-enabled": table.get(
            "DeletionProtectionEnabled"
        ),
        f"tag-resource {where} --resource-arn {table['TableArn']} --tags {tags}": TAGS.items() <= found.items(),
    }
    if missing := [f"\n  aws dynamodb {command}" for command, is_done in repairs.items() if not is_done]:
        raise CheckError(
            f"the table {name} lacks what a restore does not bring back; turn it on, then deploy again:{''.join(missing)}"
        )


def report_left_table(session: boto3.Session, settings: Ec2Settings) -> None:
    """The rollback of a failed creation keeps the table, and CloudFormation does not say its name."""
    for name in stack_resources(session, settings, "AWS::DynamoDB::Table"):
        if _describe_stack(session, settings)["StackStatus"].startswith(("ROLLBACK_", "CREATE_FAILED")):
            where = f"--region {settings.region} --table-name {name}"
            print(
                f"the creation of {settings.stack} failed and left its table {name}; serve it in the next deploy: "
                f"make deploy TABLE_NAME={name}\n"
                f"or delete it:\n  aws dynamodb update-table {where} --no-deletion-protection-enabled\n"
                f"  aws dynamodb delete-table {where}",
                file=sys.stderr,
            )


def _describe_stack(session: boto3.Session, settings: Settings) -> Any:
    cloudformation = session.client("cloudformation", region_name=settings.region)
    return cloudformation.describe_stacks(StackName=settings.stack)["Stacks"][0]
