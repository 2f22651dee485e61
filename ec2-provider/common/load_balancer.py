"""An internal NLB and its target groups, the same in front of a provider and of the gateway's endpoints."""

from collections.abc import Sequence
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

from common.stack import acknowledge, closed_security_group


def internal_load_balancer(
    scope: Construct, *, vpc: ec2.IVpc, description: str, **more: Any
) -> elbv2.NetworkLoadBalancer:
    """In the isolated subnets, with a security group that admits nobody; `description` is the group's."""
    group = closed_security_group(scope, vpc, description)
    load_balancer = elbv2.NetworkLoadBalancer(
        scope, "Nlb", vpc=vpc, internet_facing=False, cross_zone_enabled=True, security_groups=[group], **more
    )
    reason = "an NLB writes access logs for TLS listeners only; the API and the services log each request"
    acknowledge(load_balancer, "AwsSolutions-ELB2", reason)
    return load_balancer


def target_group(
    scope: Construct,
    id: str,
    *,
    vpc: ec2.IVpc,
    port: int,
    health_path: str,
    target_type: elbv2.TargetType,
    targets: Sequence[elbv2.INetworkLoadBalancerTarget] = (),
    tls: bool = False,
) -> elbv2.NetworkTargetGroup:
    """Targets that get TCP connections from the NLB's own addresses and answer HTTP health checks, over TLS or not."""
    group = elbv2.NetworkTargetGroup(
        scope,
        id,
        vpc=vpc,
        port=port,
        protocol=elbv2.Protocol.TCP,
        target_type=target_type,
        targets=[*targets],
        # PrivateLink cannot keep client addresses. Off makes the rule for the NLB the only one that targets need.
        preserve_client_ip=False,
        # For about two minutes after a target is deregistered the NLB goes on opening connections to it.
        deregistration_delay=Duration.seconds(120),
        health_check=elbv2.HealthCheck(
            # The NLB looks at no certificate (*assumed*: its guide says so of TLS target groups), and the targets must take
            # TLS 1.2: docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html
            protocol=elbv2.Protocol.HTTPS if tls else elbv2.Protocol.HTTP,
            path=health_path,
            interval=Duration.seconds(10),
            timeout=Duration.seconds(5),
            healthy_threshold_count=2,
            unhealthy_threshold_count=2,
        ),
    )
    # A target that drains fails its health checks on purpose. Requests on its connections are still answered.
    group.set_attribute("target_health_state.unhealthy.connection_termination.enabled", "false")
    group.set_attribute("target_health_state.unhealthy.draining_interval_seconds", "120")
    return group
