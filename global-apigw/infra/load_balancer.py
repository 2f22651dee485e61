"""The one internal NLB of the gateway's account: a listener per service, in front of that service's endpoint."""

from __future__ import annotations

from aws_cdk import Acknowledgment, Duration, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_elasticloadbalancingv2_targets as targets
from constructs import Construct

from infra.endpoints import ServiceEndpoint
from infra.registry import Service


class LoadBalancer(Construct):
    """Logical ids come from the services' names, never from their positions."""

    def __init__(self, scope: Construct, id: str, *, vpc: ec2.IVpc) -> None:
        super().__init__(scope, id)
        self.vpc = vpc
        self.security_group = ec2.SecurityGroup(
            self, "Sg", vpc=vpc, allow_all_outbound=False, description="gateway NLB"
        )
        self.nlb = elbv2.NetworkLoadBalancer(
            self,
            "Nlb",
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            internet_facing=False,
            cross_zone_enabled=True,
            security_groups=[self.security_group],
        )
        Validations.of(self.nlb).acknowledge(
            Acknowledgment(
                id="AwsSolutions::AwsSolutions-ELB2",
                reason="an NLB writes access logs for TLS listeners only; the API logs each request",
            )
        )

    def add_service(
        self, name: str, service: Service, endpoint: ServiceEndpoint, *, client: ec2.ISecurityGroup
    ) -> tuple[elbv2.NetworkListener, elbv2.NetworkTargetGroup]:
        """A listener on the service's own port, for `client` only, that forwards to the endpoint's addresses."""
        target_group = elbv2.NetworkTargetGroup(
            self,
            f"{name}-targets",
            vpc=self.vpc,
            port=service.endpoint_port,
            protocol=elbv2.Protocol.TCP,
            target_type=elbv2.TargetType.IP,
            targets=[targets.IpTarget(address, service.endpoint_port) for address in endpoint.addresses],
            # Preserved client addresses break communication with PrivateLink interfaces.
            preserve_client_ip=False,
            # For about two minutes after a target is deregistered the NLB goes on opening connections to it.
            deregistration_delay=Duration.seconds(120),
            health_check=elbv2.HealthCheck(
                protocol=elbv2.Protocol.HTTP,
                path=service.health_path,
                interval=Duration.seconds(10),
                timeout=Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=2,
            ),
        )
        # A health check may meet a target that drains behind the endpoint; connections through the endpoint still work.
        target_group.set_attribute("target_health_state.unhealthy.connection_termination.enabled", "false")
        target_group.set_attribute("target_health_state.unhealthy.draining_interval_seconds", "120")
        listener = self.nlb.add_listener(
            name, port=service.listener_port, protocol=elbv2.Protocol.TCP, default_target_groups=[target_group]
        )
        client.connections.allow_to(self.security_group, ec2.Port.tcp(service.listener_port), name)
        self.security_group.connections.allow_to(endpoint.security_group, ec2.Port.tcp(service.endpoint_port), name)
        return listener, target_group
