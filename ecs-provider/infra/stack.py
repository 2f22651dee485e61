"""The ecs-provider stack: wires network, service and endpoint service."""

from aws_cdk import CfnOutput
from aws_cdk import aws_iam as iam
from aws_cdk.aws_elasticloadbalancingv2 import TargetType
from constructs import Construct

from common.dashboard import add_dashboard
from common.endpoint_service import EndpointService
from common.network import Network
from common.stack import BaseStack
from infra.service import ContainerService
from infra.settings import SERVICE, TAGS, EcsSettings


class EcsProviderStack(BaseStack):
    """Two Fargate tasks behind an internal NLB that the gateway's account reaches by PrivateLink."""

    def __init__(self, scope: Construct, *, settings: EcsSettings) -> None:
        super().__init__(scope, settings, description=f"{SERVICE} on Fargate, reached by PrivateLink", tags=TAGS)
        # ECR keeps image layers in this bucket.
        layers = f"arn:aws:s3:::prod-{settings.region}-starport-layer-bucket/*"
        network = Network(
            self,
            "Network",
            zone_ids=settings.zone_ids,
            interfaces=["ecr.api", "ecr.dkr", "logs"],
            gateways={"s3": [iam.PolicyStatement(actions=["s3:GetObject"], resources=[layers])]},
        )
        # The id has the name of the first service that was built this way: another id would replace the tasks.
        containers = ContainerService(self, "DogNames", network=network, settings=settings)
        endpoint_service = EndpointService(
            self, "EndpointService", vpc=network.vpc, target_type=TargetType.IP, settings=settings
        )
        endpoint_service.attach(containers.service, containers.security_group)
        self.alarms.healthy_targets(SERVICE, {SERVICE: endpoint_service.target_group})
        service = containers.service
        names = {"cluster": service.cluster.cluster_name, "service": service.service_name}
        add_dashboard(self, self.alarms, endpoint_service.load_balancer, containers.logs, **names)
        CfnOutput(self, "ecsvpcendpointservicename", value=endpoint_service.name)
