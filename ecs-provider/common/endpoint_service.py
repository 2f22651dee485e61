"""What the gateway's account connects to: an internal NLB and the VPC endpoint service in front of it."""

from __future__ import annotations

from aws_cdk import Acknowledgment, Duration, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from constructs import Construct

PORT = 8080
HEALTH_PATH = "/healthz"


class EndpointService(Construct):
    """`allowed_principal` is the ARN of the one principal that may connect, without acceptance.

    `target_type` INSTANCE or IP as the compute registers itself with `target_group`. `name` is the endpoint service's
    name, which the gateway's team needs.
    """

    def __init__(
        self, scope: Construct, id: str, *, vpc: ec2.IVpc, target_type: elbv2.TargetType, allowed_principal: str
    ) -> None:
        super().__init__(scope, id)
        # No ingress rule, and enforcement off for PrivateLink: only PrivateLink traffic gets in.
        self.security_group = ec2.SecurityGroup(
            self, "Sg", vpc=vpc, allow_all_outbound=False, description="provider NLB"
        )
        self.load_balancer = elbv2.NetworkLoadBalancer(
            self,
            "Nlb",
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            internet_facing=False,
            cross_zone_enabled=True,
            security_groups=[self.security_group],
            enforce_security_group_inbound_rules_on_private_link_traffic=False,
        )
        Validations.of(self.load_balancer).acknowledge(
            Acknowledgment(
                id="AwsSolutions::AwsSolutions-ELB2",
                reason="an NLB writes access logs for TLS listeners only; the services log each request",
            )
        )
        self.target_group = elbv2.NetworkTargetGroup(
            self,
            "Targets",
            vpc=vpc,
            port=PORT,
            protocol=elbv2.Protocol.TCP,
            target_type=target_type,
            # PrivateLink traffic always comes from the NLB's addresses; off makes the targets' rule the only one needed.
            preserve_client_ip=False,
            # For about two minutes after a target is deregistered the NLB goes on opening connections to it.
            deregistration_delay=Duration.seconds(120),
            health_check=elbv2.HealthCheck(
                protocol=elbv2.Protocol.HTTP,
                path=HEALTH_PATH,
                interval=Duration.seconds(10),
                timeout=Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=2,
            ),
        )
        # A target that drains fails its health checks on purpose; requests on its connections are still answered.
        self.target_group.set_attribute("target_health_state.unhealthy.connection_termination.enabled", "false")
        self.target_group.set_attribute("target_health_state.unhealthy.draining_interval_seconds", "120")
        self.load_balancer.add_listener(
            "Listener", port=PORT, protocol=elbv2.Protocol.TCP, default_target_groups=[self.target_group]
        )
        service = ec2.VpcEndpointService(
            self,
            "Service",
            vpc_endpoint_service_load_balancers=[self.load_balancer],
            acceptance_required=False,
            allowed_principals=[iam.ArnPrincipal(allowed_principal)],
        )
        self.name = service.vpc_endpoint_service_name

    def allow_to(self, targets: ec2.IConnectable) -> None:
        """Let the load balancer reach the service's port on `targets`, and nothing else."""
        self.security_group.connections.allow_to(targets, ec2.Port.tcp(PORT), "service")
