"""The todo service's instances: an Auto Scaling group of two on ARM that boots from a bundle, without the internet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aws_cdk import CfnWaitCondition, CfnWaitConditionHandle, Duration, Stack
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk.aws_dynamodb import ITable
from aws_cdk.aws_s3_assets import Asset
from constructs import Construct

from common.network import Network
from common.stack import acknowledge, closed_security_group, log_group
from infra.database import ACTIONS

LOG_ACTIONS = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
BOOT_SCRIPT = Path(__file__).with_name("boot.sh")
INSTANCES = 2
# A boot takes 3 minutes, at most 15.5. The group replaces an instance that does not answer /healthz after the grace period.
BOOT, GRACE = Duration.minutes(3), Duration.minutes(16)
# The group launches a replacement before it stops the old instance, whatever the reason.
WITHOUT_A_GAP: Any = {"min_healthy_percentage": 100, "max_healthy_percentage": 200}
# Since version 3.3.40, the SSM Agent does not use ec2messages.
SSM_ENDPOINTS = ["ssm", "ssmmessages"]
# docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
SSM_ACTIONS = [
    "ssm:UpdateInstanceInformation",
    *(f"ssmmessages:{verb}{kind}Channel" for verb in ("Create", "Open") for kind in ("Control", "Data")),
]


def allow(actions: Sequence[str], *resources: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=[*actions], resources=[*resources])


def table_policy(tables: Sequence[ITable]) -> iam.PolicyStatement:
    """The service's calls to its table, and nothing else."""
    return allow(ACTIONS, *(table.table_arn for table in tables))


def boot_policies(bundle: Asset) -> list[iam.PolicyStatement]:
    """A boot's calls to S3: for Amazon's package repositories, the creation signal, and the bundle.

    A changed endpoint policy takes minutes to act. So the policy names the bundle's bucket, and the role the bundle itself.
    """
    region = Stack.of(bundle).region
    return [
        allow(["s3:GetObject"], f"arn:aws:s3:::al2023-repos-{region}-de612dc2/*"),
        allow(["s3:PutObject"], f"arn:aws:s3:::cloudformation-waitcondition-{region}/*"),
        allow(["s3:GetObject"], bundle.bucket.arn_for_objects("*")),
    ]


class Fleet(Construct):
    """The instances hold no data: a new bundle or boot script replaces them by instance refresh.

    New instances serve the first of `tables`. They may use the others too, because old instances may still serve one of them.
    The Amazon Linux image is an SSM parameter that each deploy reads: a deploy patches the instances.
    """

    def __init__(
        self, scope: Construct, id: str, *, network: Network, tables: Sequence[ITable], bundle: Asset, ship_logs: bool
    ) -> None:
        super().__init__(scope, id)
        self.security_group = closed_security_group(self, network.vpc, "todo instances")
        network.allow_from(self.security_group)
        self._role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
        self._role.add_to_policy(table_policy(tables))
        self._role.add_to_policy(allow(["s3:GetObject"], bundle.bucket.arn_for_objects(bundle.s3_object_key)))
        self.logs = logs = log_group(self) if ship_logs else None
        if logs:
            self._role.add_to_policy(allow(LOG_ACTIONS, logs.log_group_arn))
        # Never edit a wait condition: the first creation uses it up. Give a new one a new id.
        handle = CfnWaitConditionHandle(self, "FirstBootHandle")
        exports = (
            f"export AWS_REGION='{Stack.of(self).region}' TABLE_NAME='{tables[0].table_name}'\n"
            f"export BUNDLE_URI='{bundle.s3_object_url}' SIGNAL_URL='{handle.ref}'\n"
        ) + (f"export LOG_GROUP='{logs.log_group_name}'\n" if logs else "")
        user_data = ec2.UserData.custom(f"#!/bin/bash\n{exports}{BOOT_SCRIPT.read_text()}")
        self.group = self._group(network, self._launch_template(user_data))
        # Without this dependency, a first instance may boot before its route or its right to S3 exists.
        self.group.node.add_dependency(network, self.security_group, self._role)
        booted = CfnWaitCondition(self, "FirstBoot", handle=handle.ref, count=INSTANCES, timeout="2100")
        booted.node.add_dependency(self.group)

    def allow_session_manager(self) -> None:
        """Let an operator with the right to do so open a shell by SSM instead of SSH; CloudTrail logs who opens a session."""
        self._role.add_to_policy(allow(SSM_ACTIONS, "*"))
        reason = "the agent's actions name the instance by its credentials and have no resource-level permission"
        acknowledge(self._role, "AwsSolutions-IAM5[Resource::*]", reason)

    def _launch_template(self, user_data: ec2.UserData) -> ec2.LaunchTemplate:
        disk = ec2.BlockDeviceVolume.ebs(8, encrypted=True, volume_type=ec2.EbsDeviceVolumeType.GP3)
        return ec2.LaunchTemplate(
            self,
            "Template",
            instance_type=ec2.InstanceType("t4g.micro"),
            machine_image=ec2.MachineImage.latest_amazon_linux2023(cpu_type=ec2.AmazonLinuxCpuType.ARM_64),
            role=self._role,
            security_group=self.security_group,
            user_data=user_data,
            require_imdsv2=True,
            http_put_response_hop_limit=1,
            block_devices=[ec2.BlockDevice(device_name="/dev/xvda", volume=disk)],
        )

    def _group(self, network: Network, template: ec2.LaunchTemplate) -> autoscaling.AutoScalingGroup:
        group = autoscaling.AutoScalingGroup(
            self,
            "Group",
            vpc=network.vpc,
            launch_template=template,
            min_capacity=INSTANCES,
            max_capacity=2 * INSTANCES,
            max_instance_lifetime=Duration.days(30),
            **WITHOUT_A_GAP,
            health_checks=autoscaling.HealthChecks.with_additional_checks(
                additional_types=[autoscaling.AdditionalHealthCheckType.ELB], grace_period=GRACE
            ),
            # Scaling ignores an instance's CPU while the instance boots.
            default_instance_warmup=BOOT,
            # Health checks stop a bad refresh: old instances stay until their replacements have passed them. When none
            # passes for an hour, the refresh fails and CloudFormation rolls back, by a refresh of its own. No alarm stops
            # it: Auto Scaling starts no refresh while a listed alarm is in ALARM, so the repair could not be deployed.
            # Its warm-up is as long as the grace period: a shorter refresh would end before a failed boot is noticed.
            update_policy=autoscaling.UpdatePolicy.instance_refresh(
                strategy=autoscaling.InstanceRefreshStrategy.ROLLING, instance_warmup=GRACE, **WITHOUT_A_GAP
            ),
        )
        group.scale_on_cpu_utilization("Cpu", target_utilization_percent=60)
        reason = "the alarms on healthy targets report lost instances, whatever the cause"
        acknowledge(group, "AwsSolutions-AS3", reason)
        return group
