"""The ecs-provider stack: wires network, service and endpoint service."""

from aws_cdk import CfnOutput
from aws_cdk import aws_iam as iam
from aws_cdk.aws_elasticloadbalancingv2 import TargetType
from constructs import Construct

from common.endpoint_service import EndpointService
from common.network import Network
from common.stack import BaseStack
from infra.service import DogNames
from infra.settings import EcsSettings


class EcsProviderStack(BaseStack):
    """Two Fargate tasks behind an internal NLB that the gateway's account reaches by PrivateLink."""

    def __init__(self, scope: Construct, *, settings: EcsSettings) -> None:
        tags = {"owner": "dogs-team", "service": "dog-names", "cost-center": "dogs"}
        super().__init__(scope, settings, description="dog-names on Fargate, reached by PrivateLink", tags=tags)
        # ECR keeps image layers in this bucket.
        layers = f"arn:aws:s3:::prod-{settings.region}-starport-layer-bucket/*"
        network = Network(
            self,
            "Network",
            zone_ids=settings.zone_ids,
            interfaces=["ecr.api", "ecr.dkr", "logs"],
            gateways={"s3": [iam.PolicyStatement(actions=["s3:GetObject"], resources=[layers])]},
        )
        dog_names = DogNames(self, "DogNames", network=network, settings=settings)
        endpoint_service = EndpointService(
            self,
            "EndpointService",
            vpc=network.vpc,
            target_type=TargetType.IP,
            allowed_principal=settings.allowed_principal,
        )
        endpoint_service.attach(dog_names.service, dog_names.security_group)
        self.alarms.healthy_targets("dog-names", {"dog-names": endpoint_service.target_group})
        CfnOutput(self, "ecsvpcendpointservicename", value=endpoint_service.name)
