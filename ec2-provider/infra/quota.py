"""Whether the account may run the instances that a deploy launches; a new account may run 5 vCPUs."""

from __future__ import annotations

import re

import boto3
from botocore.exceptions import ClientError

from common.checks import CheckError, print_unknown, stack_resources
from common.settings import Settings

QUOTA = "L-1216C47A"  # vCPUs of running on-demand instances of the standard families
STANDARD = re.compile(r"(a|c|d|h|i|im|is|m|r|t|z)\d")
# Two t4g.micro: the first deploy launches them; a replacement launches as many before the old ones stop.
LAUNCHED = 4


def check_quota(session: boto3.Session, settings: Settings) -> None:
    """CloudFormation would wait half an hour for instances that Auto Scaling cannot launch."""
    try:
        answer = session.client("service-quotas", region_name=settings.region).get_service_quota(
            ServiceCode="ec2", QuotaCode=QUOTA
        )
    except ClientError as error:
        print_unknown(f"the quota {QUOTA} of account {settings.account}", error)
        return
    quota, used = int(answer["Quota"]["Value"]), used_vcpus(session, settings)
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
        print(f"{facts}: enough for this deploy, but the next one replaces the instances and needs {wanted}; "
              f"ask for more now: {request}")  # fmt: skip


def used_vcpus(session: boto3.Session, settings: Settings) -> int:
    """The vCPUs of the running instances that count towards the quota."""
    pages = session.client("ec2", region_name=settings.region).get_paginator("describe_instances")
    running = pages.paginate(Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}])
    return sum(
        instance["CpuOptions"]["CoreCount"] * instance["CpuOptions"]["ThreadsPerCore"]
        for instance in running.search("Reservations[].Instances[]")
        if STANDARD.match(instance["InstanceType"]) and "InstanceLifecycle" not in instance
    )
