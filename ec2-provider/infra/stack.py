"""The ec2-provider stack: wires network, database, fleet and endpoint service."""

from pathlib import Path

from aws_cdk import CfnOutput
from aws_cdk.aws_elasticloadbalancingv2 import TargetType
from aws_cdk.aws_s3_assets import Asset
from constructs import Construct

from common.dashboard import add_dashboard
from common.endpoint_service import EndpointService
from common.network import Network
from common.settings import SettingsError
from common.stack import BaseStack
from infra.database import Database, add_table_alarms
from infra.fleet import SSM_ENDPOINTS, Fleet, boot_policies, table_policy
from infra.settings import TAGS, Ec2Settings


class Ec2ProviderStack(BaseStack):
    """Two instances behind an internal NLB that the gateway's account reaches by PrivateLink."""

    def __init__(self, scope: Construct, *, settings: Ec2Settings) -> None:
        super().__init__(scope, settings, description="todo on EC2, reached by PrivateLink", tags=TAGS)
        if not Path(settings.bundle).is_file():
            raise SettingsError([f"the bundle {settings.bundle} does not exist; build it with: make bundle"])
        tables = Database(self, "Database", adopted=settings.adopted_tables, ephemeral=settings.ephemeral).tables
        bundle = Asset(self, "Bundle", path=settings.bundle)
        # Each interface costs money: see README.md, "Look inside an instance".
        interfaces = [*(["logs"] if settings.instance_logs else []), *(SSM_ENDPOINTS if settings.ssm else [])]
        gateways = {"s3": boot_policies(bundle), "dynamodb": [table_policy(tables)]}
        network = Network(self, "Network", zone_ids=settings.zone_ids, interfaces=interfaces, gateways=gateways)
        endpoint_service = EndpointService(
            self, "EndpointService", vpc=network.vpc, target_type=TargetType.INSTANCE, settings=settings
        )
        self.alarms.healthy_targets("todo", {"todo": endpoint_service.target_group})
        add_table_alarms(self.alarms, tables[0])
        fleet = Fleet(self, "Fleet", network=network, tables=tables, bundle=bundle, ship_logs=settings.instance_logs)
        if settings.ssm:
            fleet.allow_session_manager()
        endpoint_service.attach(fleet.group, fleet.security_group)
        names = {"group": fleet.group.auto_scaling_group_name, "table": tables[0].table_name}
        add_dashboard(self, self.alarms, endpoint_service.load_balancer, fleet.logs, **names)
        CfnOutput(self, "ec2vpceendpointservicename", value=endpoint_service.name)
        CfnOutput(self, "tablename", value=tables[0].table_name)
        CfnOutput(self, "loadbalancer", value=endpoint_service.load_balancer.load_balancer_dns_name)
