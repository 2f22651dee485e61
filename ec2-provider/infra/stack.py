"""The ec2-provider stack: wires network, database, fleet and endpoint service."""

from __future__ import annotations

from aws_cdk import CfnOutput, Environment, Stack
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from common.alarms import Alarms
from common.endpoint_service import EndpointService
from common.network import Network
from infra.database import Database, add_table_alarms
from infra.fleet import SSM_ENDPOINTS, Fleet, bundle_policy, table_policy
from infra.settings import Ec2Settings
from infra.tables import TAGS, adopted_tables


class Ec2ProviderStack(Stack):
    """Two instances behind an internal NLB that the gateway's account reaches by PrivateLink."""

    def __init__(self, scope: Construct, *, settings: Ec2Settings) -> None:
        env = Environment(account=settings.account, region=settings.region)
        super().__init__(scope, "ec2-provider", env=env, description="todo on EC2, reached by PrivateLink", tags=TAGS)
        tables = Database(self, "Database", adopted=adopted_tables(settings), ephemeral=settings.ephemeral).tables
        bundle = s3_assets.Asset(self, "Bundle", path=settings.bundle)
        network = Network(
            self,
            "Network",
            zone_ids=settings.zone_ids,
            # Each costs money: see README.md, "Look inside an instance".
            interfaces=[*(["logs"] if settings.instance_logs else []), *(SSM_ENDPOINTS if settings.ssm else [])],
            gateways={
                # A changed policy takes minutes to act, so it must not change with the bundle; the role names the object.
                "s3": [*self._boot_policies(), bundle_policy(bundle, key="*")],
                "dynamodb": [table_policy(tables)],
            },
        )
        endpoint_service = EndpointService(
            self,
            "EndpointService",
            vpc=network.vpc,
            target_type=elbv2.TargetType.INSTANCE,
            allowed_principal=settings.allowed_principal,
        )
        alarms = Alarms(self, "Alarms", topic_arn=settings.alarm_topic_arn)
        alarms.healthy_targets("todo", endpoint_service.target_group)
        add_table_alarms(alarms, tables[0])
        fleet = Fleet(self, "Fleet", network=network, tables=tables, bundle=bundle, ship_logs=settings.instance_logs)
        if settings.ssm:
            fleet.allow_session_manager()
        endpoint_service.allow_to(fleet.security_group)
        fleet.group.attach_to_network_target_group(endpoint_service.target_group)
        # Health checks must be able to pass from the first moment.
        fleet.group.node.add_dependency(endpoint_service)
        CfnOutput(self, "ec2vpceendpointservicename", value=endpoint_service.name)
        CfnOutput(self, "tablename", value=tables[0].table_name)
        CfnOutput(self, "loadbalancer", value=endpoint_service.load_balancer.load_balancer_dns_name)

    def _boot_policies(self) -> list[iam.PolicyStatement]:
        """What a boot needs of S3 besides the bundle: Amazon's package repositories and the creation signal."""
        return [
            iam.PolicyStatement(
                actions=["s3:GetObject"], resources=[f"arn:aws:s3:::al2023-repos-{self.region}-de612dc2/*"]
            ),
            iam.PolicyStatement(
                actions=["s3:PutObject"], resources=[f"arn:aws:s3:::cloudformation-waitcondition-{self.region}/*"]
            ),
        ]

    @property
    def availability_zones(self) -> list[str]:
        """Placeholders that keep synth from looking zones up; the subnets carry zone ids instead."""
        return ["unused-1", "unused-2"]
