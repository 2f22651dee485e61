"""Which table the instances serve: a change of it must cut nobody off, and an adopted one must be kept like the stack's own."""

from __future__ import annotations

import sys
from typing import Any

import boto3
from botocore.exceptions import ClientError

from common.checks import CheckError, stack_resources
from common.settings import Settings
from infra.settings import Ec2Settings

# Of all that the stack makes; an adopted table must have them too.
TAGS = {"owner": "todo-team", "service": "todo", "cost-center": "todo"}


def adopted_tables(settings: Ec2Settings) -> list[str]:
    """The names in TABLE_NAME: the table to serve, and one that instances use until they are replaced."""
    return list(dict.fromkeys(filter(None, settings.table_name.split(","))))


def check_table(session: boto3.Session, settings: Ec2Settings) -> None:
    """The table to serve must be fit for it, and the table that is served must stay allowed for now."""
    adopted = adopted_tables(settings)
    if adopted:
        _check_adopted(session, settings, adopted[0])
    own = stack_resources(session, settings, "AWS::DynamoDB::Table")
    deployed = _stack(session, settings)
    outputs = {each["OutputKey"]: each["OutputValue"] for each in deployed.get("Outputs", [])}
    served = outputs.get("tablename")
    next_served = next(iter([*adopted, *own]), served)
    if served == next_served or not served:
        return
    if served not in (*adopted, *own):
        raise CheckError(
            f"the instances of {settings.stack} serve the table {served}, and this deploy would take it away from them at once; the "
            "first new ones answer about 5 minutes later (a boot, and the minutes that a changed endpoint policy takes), "
            f"until then every request gets a 503; to avoid it, allow both until the instances are replaced: "
            f"TABLE_NAME={next_served},{served}; a later deploy may leave {served} out"
        )
    print(
        f"the table to serve changes from {served} to {next_served}: until the old instances are replaced, for about 20 "
        f"minutes, both are served, and a todo that is written to {served} meanwhile stays there"
    )


def _check_adopted(session: boto3.Session, settings: Settings, name: str) -> None:
    """A restored table has no backups, no protection and no tags of its own."""
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
    arn, missing = table["TableArn"], []
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    if backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") != "ENABLED":
        missing.append(f"update-continuous-backups {where} --table-name {name} "
                       "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true")  # fmt: skip
    if not table.get("DeletionProtectionEnabled"):
        missing.append(f"update-table {where} --table-name {name} --deletion-protection-enabled")
    pages = dynamodb.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn)
    if TAGS.items() - {(tag["Key"], tag["Value"]) for page in pages for tag in page["Tags"]}:
        tags = " ".join(f"Key={key},Value={value}" for key, value in TAGS.items())
        missing.append(f"tag-resource {where} --resource-arn {arn} --tags {tags}")
    if missing:
        raise CheckError(
            f"the table {name} lacks what a restore does not bring back; turn it on, then deploy again:"
            + "".join(f"\n  aws dynamodb {command}" for command in missing)
        )


def report_left_table(session: boto3.Session, settings: Ec2Settings) -> None:
    """The rollback of a failed creation keeps the table, and nothing else says its name."""
    if not _stack(session, settings).get("StackStatus", "").startswith(("ROLLBACK_", "CREATE_FAILED")):
        return
    for name in stack_resources(session, settings, "AWS::DynamoDB::Table"):
        where = f"--region {settings.region} --table-name {name}"
        print(
            f"the creation of {settings.stack} failed and left its table {name}; serve it in the next deploy: "
            f"make deploy TABLE_NAME={name}\n"
            f"or delete it:\n  aws dynamodb update-table {where} --no-deletion-protection-enabled\n"
            f"  aws dynamodb delete-table {where}",
            file=sys.stderr,
        )


def _stack(session: boto3.Session, settings: Settings) -> dict[str, Any]:
    """As CloudFormation describes it; empty before the first deploy."""
    cloudformation = session.client("cloudformation", region_name=settings.region)
    try:
        return dict(cloudformation.describe_stacks(StackName=settings.stack)["Stacks"][0])
    except ClientError as error:
        if "does not exist" in str(error):
            return {}
        raise
