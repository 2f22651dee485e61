"""The checks of ec2-provider before a deploy: the table that the instances serve, and the quota for new instances."""

import re
import sys
from typing import Any

import boto3
from botocore.exceptions import ClientError

from common.checks import CheckError, print_unknown, stack_resources
from common.settings import Settings
from infra.settings import TAGS, Ec2Settings

QUOTA = "L-1216C47A"  # vCPUs of running on-demand instances of the standard families; 5 in a new account
STANDARD = re.compile(r"(a|c|d|h|i|im|is|m|r|t|z)\d")
# Two t4g.micro: the first deploy launches them; a replacement launches as many before the old ones stop.
LAUNCHED = 4


def check_table(session: boto3.Session, settings: Ec2Settings) -> None:
    """The new table must be fit to be served, and old instances must keep the right to use theirs."""
    adopted, own = settings.adopted_tables, stack_resources(session, settings, "AWS::DynamoDB::Table")
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
    dynamodb, where = session.client("dynamodb", region_name=settings.region), f"--region {settings.region}"
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
    is_protected = table.get("DeletionProtectionEnabled")
    pages = dynamodb.get_paginator("list_tags_of_resource").paginate(ResourceArn=table["TableArn"])
    found = {(tag["Key"], tag["Value"]) for tag in pages.search("Tags[]")}
    tags = " ".join(f"Key={key},Value={value}" for key, value in TAGS.items())
    recover = "update-continuous-backups --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"
    repairs = [
        (recovery == "ENABLED", f"{recover} {where} --table-name {name}"),
        (is_protected, f"update-table {where} --table-name {name} --deletion-protection-enabled"),
        (TAGS.items() <= found, f"tag-resource {where} --resource-arn {table['TableArn']} --tags {tags}"),
    ]
    if missing := [f"\n  aws dynamodb {command}" for is_done, command in repairs if not is_done]:
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


def check_quota(session: boto3.Session, settings: Settings) -> None:
    """CloudFormation would wait half an hour for instances that Auto Scaling cannot launch."""
    quotas = session.client("service-quotas", region_name=settings.region)
    try:
        quota = int(quotas.get_service_quota(ServiceCode="ec2", QuotaCode=QUOTA)["Quota"]["Value"])
    except ClientError as error:
        print_unknown(f"the quota {QUOTA} of account {settings.account}", error)
        return
    pages = session.client("ec2", region_name=settings.region).get_paginator("describe_instances")
    running = pages.paginate(Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}])
    used = sum(
        instance["CpuOptions"]["CoreCount"] * instance["CpuOptions"]["ThreadsPerCore"]
        for instance in running.search("Reservations[].Instances[]")
        if STANDARD.match(instance["InstanceType"]) and "InstanceLifecycle" not in instance
    )
    is_first = not stack_resources(session, settings, "AWS::AutoScaling::AutoScalingGroup")
    wanted = used + (2 * LAUNCHED if is_first else LAUNCHED)
    facts = f"account {settings.account} may run {quota} vCPUs in {settings.region} (quota {QUOTA}), {used} run already"
    request = (
        f"aws service-quotas request-service-quota-increase --region {settings.region} --service-code ec2 "
        f"--quota-code {QUOTA} --desired-value {wanted}"
    )
    if quota < used + LAUNCHED:
        raise CheckError(f"{facts}, this deploy launches {LAUNCHED} more; ask for more and wait for it: {request}")
    if quota < wanted:
        next_deploy = f"the next one replaces the instances and needs {wanted}"
        print(f"{facts}: enough for this deploy, but {next_deploy}; ask for more now: {request}")
