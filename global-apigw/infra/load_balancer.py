"""The internal NLB of the gateway's account: a listener per service, in front of that service's endpoint."""

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_elasticloadbalancingv2_targets as targets
from constructs import Construct

from common.load_balancer import internal_load_balancer, target_group
from infra.endpoints import ServiceEndpoint
from infra.registry import Service


class LoadBalancer(Construct):
    """Logical ids come from the services' names, never from their positions."""

    def __init__(self, scope: Construct, id: str, *, vpc: ec2.IVpc) -> None:
        super().__init__(scope, id)
        self.vpc = vpc
        self.nlb = internal_load_balancer(self, vpc=vpc, description="gateway NLB")

    def add_service(
        self, name: str, service: Service, endpoint: ServiceEndpoint, *, client: ec2.ISecurityGroup
    ) -> tuple[elbv2.NetworkListener, elbv2.NetworkTargetGroup]:
        """A listener on the service's own port, for `client` only, that forwards to the endpoint's addresses."""
        group = target_group(
            self,
            f"{name}-targets",
            vpc=self.vpc,
            port=service.endpoint_port,
            health_path=service.health_path,
            target_type=elbv2.TargetType.IP,
            targets=[targets.IpTarget(address, service.endpoint_port) for address in endpoint.addresses],
        )
        listener = self.nlb.add_listener(
            name, port=service.listener_port, protocol=elbv2.Protocol.TCP, default_target_groups=[group]
        )
        client.connections.allow_to(self.nlb, ec2.Port.tcp(service.listener_port), name)
        self.nlb.connections.allow_to(endpoint.security_group, ec2.Port.tcp(service.endpoint_port), name)
        return listener, group
