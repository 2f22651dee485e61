"""The todo service's instances: an Auto Scaling group of two on ARM that boots from a bundle, without the internet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aws_cdk import (
    Acknowledgment,
    CfnWaitCondition,
    CfnWaitConditionHandle,
    Duration,
    RemovalPolicy,
    Stack,
    Validations,
)
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from common.network import Network
from infra.database import OPERATIONS

BOOT_SCRIPT = Path(__file__).with_name("boot.sh")
INSTANCES = 2
# A boot takes three minutes, fifteen and a half at worst; an instance that has not answered /healthz by then is replaced.
BOOT, GRACE = Duration.minutes(3), Duration.minutes(16)
# SSM Agent uses ec2messages no more since 3.3.40.
SSM_ENDPOINTS = ["ssm", "ssmmessages"]
# docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
SSM_ACTIONS = [
    "ssm:UpdateInstanceInformation",
    *(f"ssmmessages:{verb}{kind}Channel" for verb in ("Create", "Open") for kind in ("Control", "Data")),
]


def table_policy(tables: Sequence[dynamodb.ITable]) -> iam.PolicyStatement:
    """What the service does with its table, and nothing else."""
    return iam.PolicyStatement(
        actions=[f"dynamodb:{name}" for name in OPERATIONS], resources=[table.table_arn for table in tables]
    )


def bundle_policy(bundle: s3_assets.Asset, *, key: str) -> iam.PolicyStatement:
    """`key` is the one object that an instance reads, or `*` where the policy must not change with the bundle."""
    return iam.PolicyStatement(actions=["s3:GetObject"], resources=[bundle.bucket.arn_for_objects(key)])


class Fleet(Construct):
    """Instances hold nothing: a new bundle or boot script rolls the group by instance refresh.

    They serve the first of `tables`, and may use the others, as instances do that are about to be replaced.

    The Amazon Linux image is an SSM parameter that each deploy reads anew: deploying is how instances are patched.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        network: Network,
        tables: Sequence[dynamodb.ITable],
        bundle: s3_assets.Asset,
        ship_logs: bool,
    ) -> None:
        super().__init__(scope, id)
        self.security_group = ec2.SecurityGroup(
            self, "Sg", vpc=network.vpc, allow_all_outbound=False, description="todo instances"
        )
        network.allow_from(self.security_group)
        self._role = role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
        for statement in (table_policy(tables), bundle_policy(bundle, key=bundle.s3_object_key)):
            role.add_to_policy(statement)
        log_group = self._log_group() if ship_logs else None
        # Never edit a wait condition, it is used up by the first creation: give a new one a new id.
        handle = CfnWaitConditionHandle(self, "FirstBootHandle")
        template = self._launch_template(role, self._user_data(bundle, tables[0], handle, log_group))
        self.group = autoscaling.AutoScalingGroup(
            self,
            "Group",
            vpc=network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            launch_template=template,
            min_capacity=INSTANCES,
            max_capacity=2 * INSTANCES,
            max_instance_lifetime=Duration.days(30),
            # A replacement is launched before the old instance goes, whatever the reason.
            min_healthy_percentage=100,
            max_healthy_percentage=200,
            health_checks=autoscaling.HealthChecks.with_additional_checks(
                additional_types=[autoscaling.AdditionalHealthCheckType.ELB], grace_period=GRACE
            ),
            # For so long an instance's CPU does not count for scaling.
            default_instance_warmup=BOOT,
            # Health checks stop a bad refresh: old instances stay until their replacements have passed them. When none
            # passes for an hour, the refresh fails and CloudFormation rolls back, by a refresh of its own. No alarm stops
            # it: Auto Scaling starts no refresh while a listed alarm is in ALARM, so the repair could not be deployed.
            update_policy=autoscaling.UpdatePolicy.instance_refresh(
                strategy=autoscaling.InstanceRefreshStrategy.ROLLING,
                min_healthy_percentage=100,
                max_healthy_percentage=200,
                instance_warmup=GRACE,  # shorter, it would end before a failed boot is noticed
            ),
        )
        self.group.scale_on_cpu_utilization("Cpu", target_utilization_percent=60)
        Validations.of(self.group).acknowledge(
            Acknowledgment(
                id="AwsSolutions::AwsSolutions-AS3",
                reason="the alarms on healthy targets speak of lost instances, whatever lost them",
            )
        )
        # Without this a first instance may boot before its way or its right to S3 exists.
        self.group.node.add_dependency(network, self.security_group, role)
        booted = CfnWaitCondition(self, "FirstBoot", handle=handle.ref, count=INSTANCES, timeout="2100")
        booted.node.add_dependency(self.group)

    def _user_data(
        self,
        bundle: s3_assets.Asset,
        table: dynamodb.ITable,
        handle: CfnWaitConditionHandle,
        log_group: logs.ILogGroup | None,
    ) -> ec2.UserData:
        region = Stack.of(self).region
        exports = (
            f"export AWS_REGION='{region}' TABLE_NAME='{table.table_name}'\n"
            f"export BUNDLE_URI='{bundle.s3_object_url}' SIGNAL_URL='{handle.ref}'\n"
        )
        if log_group:
            exports += f"export LOG_GROUP='{log_group.log_group_name}'\n"
        return ec2.UserData.custom(f"#!/bin/bash\n{exports}{BOOT_SCRIPT.read_text()}")

    def _log_group(self) -> logs.LogGroup:
        group = logs.LogGroup(
            self, "Logs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
        )
        actions = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        self._role.add_to_policy(iam.PolicyStatement(actions=actions, resources=[group.log_group_arn]))
        return group

    def allow_session_manager(self) -> None:
        """Let an operator with the right to do so open a shell by SSM instead of SSH; CloudTrail notes each session."""
        self._role.add_to_policy(iam.PolicyStatement(actions=SSM_ACTIONS, resources=["*"]))
        Validations.of(self._role).acknowledge(
            Acknowledgment(
                id="AwsSolutions::AwsSolutions-IAM5[Resource::*]",
                reason="the agent's actions name the instance by its credentials and have no resource-level permission",
            )
        )

    def _launch_template(self, role: iam.IRole, user_data: ec2.UserData) -> ec2.LaunchTemplate:
        return ec2.LaunchTemplate(
            self,
            "Template",
            instance_type=ec2.InstanceType("t4g.micro"),
            machine_image=ec2.MachineImage.latest_amazon_linux2023(cpu_type=ec2.AmazonLinuxCpuType.ARM_64),
            role=role,
            security_group=self.security_group,
            user_data=user_data,
            require_imdsv2=True,
            http_put_response_hop_limit=1,
            block_devices=[
                ec2.BlockDevice(
                    device_name="/dev/xvda",
                    volume=ec2.BlockDeviceVolume.ebs(8, encrypted=True, volume_type=ec2.EbsDeviceVolumeType.GP3),
                )
            ],
        )
