"""The provider's entrance: an internal NLB and the VPC endpoint service in front of it, to which the gateway's account connects."""

from typing import Any

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from constructs import Construct

from common.load_balancer import internal_load_balancer, target_group
from common.provider import ProviderSettings

PORT, TLS_PORT = 8080, 8443
HEALTH_PATH = "/healthz"


class EndpointService(Construct):
    """`target_type` is INSTANCE for an Auto Scaling group and IP for Fargate tasks.

    `name` is the name of the endpoint service, which the gateway's team needs.
    """

    def __init__(
        self, scope: Construct, id: str, *, vpc: ec2.IVpc, target_type: elbv2.TargetType, settings: ProviderSettings
    ) -> None:
        super().__init__(scope, id)
        # The group has no ingress rule, and enforcement is off for PrivateLink: only PrivateLink traffic gets in.
        self.load_balancer = internal_load_balancer(
            self,
            vpc=vpc,
            description="provider NLB",
            enforce_security_group_inbound_rules_on_private_link_traffic=False,
        )
        self.target_group = target_group(
            self, "Targets", vpc=vpc, port=PORT, health_path=HEALTH_PATH, target_type=target_type
        )
        self.load_balancer.add_listener(
            "Listener", port=PORT, protocol=elbv2.Protocol.TCP, default_target_groups=[self.target_group]
        )
        if settings.certificate_arn:
            self.load_balancer.add_listener(
                "TlsListener",
                port=TLS_PORT,
                protocol=elbv2.Protocol.TLS,
                certificates=[elbv2.ListenerCertificate.from_arn(settings.certificate_arn)],
                # TLS 1.2 and 1.3. The default of CloudFormation takes TLS 1.0, too:
                # docs.aws.amazon.com/elasticloadbalancing/latest/network/describe-ssl-policies.html
                ssl_policy=elbv2.SslPolicy.RECOMMENDED_TLS,
                default_target_groups=[self.target_group],
            )
        far = settings.supported_regions
        service = ec2.VpcEndpointService(
            self,
            "Service",
            vpc_endpoint_service_load_balancers=[self.load_balancer],
            acceptance_required=settings.acceptance == "manual",
            allowed_principals=[iam.ArnPrincipal(settings.allowed_principal)],
            # With the own region, which "you can't remove": the page privatelink-share-your-services.html of AWS.
            allowed_regions=[*dict.fromkeys([settings.region, *far])] if far else None,
        )
        self.name = service.vpc_endpoint_service_name

    def attach(self, compute: Any, security_group: ec2.ISecurityGroup) -> None:
        """Send requests to the port of `compute`, an ECS service or Auto Scaling group in the security group."""
        self.load_balancer.connections.allow_to(security_group, ec2.Port.tcp(PORT), "service")
        compute.attach_to_network_target_group(self.target_group)
        # Health checks must be able to pass from the first moment.
        compute.node.add_dependency(self)
