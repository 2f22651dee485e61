"""Pieces of the stacks of all folders."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Acknowledgment, Environment, RemovalPolicy, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from common.alarms import Alarms
from common.settings import Settings


class BaseStack(Stack):
    """A stack in the account and region of its settings, which it remembers, with alarms to their topic."""

    def __init__(self, scope: Construct, settings: Settings, *, description: str, tags: Mapping[str, str]) -> None:
        env = Environment(account=settings.account, region=settings.region)
        # Only `make destroy` lifts the protection.
        own = {"description": description, "tags": tags, "termination_protection": True}
        super().__init__(scope, settings.stack, env=env, **own)
        # CloudFormation makes no update for metadata alone: a setting that changes no resource is not remembered, and its
        # loss changes nothing either.
        if settings.remembered:
            self.add_metadata("DeployedWith", settings.remembered)
        # For a comparison of what clients can call. GetTemplate returns "?" for each other character:
        # github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/814
        self.add_metadata("Contract", settings.contract.read_text().encode("ascii", "replace").decode())
        self.alarms = Alarms(self, "Alarms", topic_arn=settings.alarm_topic_arn)

    @property
    def availability_zones(self) -> list[str]:
        """Placeholders that keep synth from looking zones up; the subnets carry zone ids instead."""
        return ["unused-1", "unused-2"]


def closed_security_group(scope: Construct, vpc: ec2.IVpc, description: str, id: str = "Sg") -> ec2.SecurityGroup:
    """A security group without rules: nothing gets in or out."""
    return ec2.SecurityGroup(scope, id, vpc=vpc, allow_all_outbound=False, description=description)


def log_group(scope: Construct, id: str = "Logs", **more: Any) -> logs.LogGroup:
    """CloudWatch keeps the lines for a month. The group goes with the stack."""
    month = logs.RetentionDays.ONE_MONTH
    return logs.LogGroup(scope, id, retention=month, removal_policy=RemovalPolicy.DESTROY, **more)


def acknowledge(construct: Construct, rule: str, reason: str) -> None:
    """Exempt the construct from a rule of cdk-nag, for example "AwsSolutions-ELB2"."""
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions::{rule}", reason=reason))
