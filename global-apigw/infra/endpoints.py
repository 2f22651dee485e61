"""The path to the services: the shared NLB, and per service a listener and the addresses of an interface VPC endpoint."""

from aws_cdk import Duration, Fn, Stack, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_elasticloadbalancingv2_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import custom_resources as cr
from constructs import Construct

from common.load_balancer import internal_load_balancer, target_group
from common.stack import acknowledge, closed_security_group, log_group
from infra.registry import Service

RULES = (ec2.CfnSecurityGroupIngress, ec2.CfnSecurityGroupEgress)
ALL_PORTS = 65535


class Endpoints:
    """The NLB, the lookups' shared role and log group, and the resources that add_service() creates for a service.

    Logical ids come from the names of the services, never from their positions.
    """

    def __init__(self, scope: Construct, vpc: ec2.IVpc, *, client: ec2.ISecurityGroup) -> None:
        self._scope, self._vpc = scope, vpc
        self._lookup = Construct(scope, "AddressLookup")
        # For functions of this account alone, as in AWS's own example: aws/agent-toolkit-for-aws,
        # processing-s3-uploads-with-step-functions/references/iam-roles.md.
        own = {"StringEquals": {"aws:SourceAccount": Stack.of(scope).account}}
        trusted = iam.ServicePrincipal("lambda.amazonaws.com", conditions=own)
        self._role = iam.Role(self._lookup, "Role", assumed_by=trusted)
        self._role.add_to_policy(iam.PolicyStatement(actions=["ec2:DescribeNetworkInterfaces"], resources=["*"]))
        reason = "ec2:DescribeNetworkInterfaces has no resource-level permission"
        acknowledge(self._role, "AwsSolutions-IAM5[Resource::*]", reason)
        self._log_group = log_group(self._lookup)
        self._log_group.grant_write(self._role)
        self._balancer = Construct(scope, "LoadBalancer")
        self.nlb = internal_load_balancer(self._balancer, vpc=vpc, description="gateway NLB")
        # Shared rules and a shared group, so that fifty services fit into one stack: the NLB listens for services alone.
        client.connections.allow_to(self.nlb, ec2.Port.all_tcp(), "listeners of services")
        self._security_group = closed_security_group(scope, vpc, "endpoints of services", "EndpointsSg")
        self._groups = [client, self._security_group, *self.nlb.connections.security_groups]

    def add_service(
        self, name: str, service: Service, service_name: str
    ) -> tuple[elbv2.NetworkListener, elbv2.NetworkTargetGroup]:
        """A listener on the service's own port, for `client` only, that forwards to the addresses of a new endpoint."""
        scope, port = Construct(self._scope, name), service.endpoint_port
        self.nlb.connections.allow_to(self._security_group, ec2.Port.tcp(port), "endpoints of services")
        endpoint = ec2.InterfaceVpcEndpoint(
            scope,
            "Endpoint",
            vpc=self._vpc,
            service=ec2.InterfaceVpcEndpointService(service_name, port),
            security_groups=[self._security_group],
            # To name the own region would replace an endpoint.
            service_region=service.region if service.region != Stack.of(scope).region else None,
            private_dns_enabled=False,
            open=False,
        )
        Tags.of(endpoint).add("Name", name)
        # The rules must be there before an endpoint takes this group, and before a listener exists, to which a route may lead.
        rules = [each for group in self._groups for each in group.node.children if isinstance(each, RULES)]
        endpoint.node.add_dependency(*(rule for rule in rules if rule.to_port in (ALL_PORTS, port)))
        group = target_group(
            self._balancer,
            f"{name}-targets",
            vpc=self._vpc,
            port=port,
            health_path=service.health_path,
            tls=service.tls is not None,
            target_type=elbv2.TargetType.IP,
            targets=[targets.IpTarget(address, port) for address in self._addresses(scope, endpoint)],
        )
        listener = self.nlb.add_listener(
            name, port=service.listener_port, protocol=elbv2.Protocol.TCP, default_target_groups=[group]
        )
        return listener, group

    def _addresses(self, scope: Construct, endpoint: ec2.InterfaceVpcEndpoint) -> list[str]:
        """The endpoint's private addresses, one a subnet, as tokens."""
        numbers = range(len(self._vpc.isolated_subnets))
        paths = [f"NetworkInterfaces.{number}.PrivateIpAddress" for number in numbers]
        # Selected one by one: with the list as a whole, the CDK adds one more provider function.
        interfaces = [Fn.select(number, endpoint.vpc_endpoint_network_interface_ids) for number in numbers]
        call = cr.AwsSdkCall(
            service="EC2",
            action="describeNetworkInterfaces",
            parameters={"NetworkInterfaceIds": interfaces},
            # Unfiltered, the response exceeds the 4,096 bytes that a custom resource may return.
            output_paths=paths,
            physical_resource_id=cr.PhysicalResourceId.of(endpoint.vpc_endpoint_id),
        )
        addresses = cr.AwsCustomResource(
            scope,
            "Addresses",
            on_update=call,  # on a create, too
            role=self._role,
            log_group=self._log_group,
            install_latest_aws_sdk=False,
            # A lookup takes seconds. Without a timeout, CloudFormation waits an hour for a lookup that never answers.
            service_timeout=Duration.minutes(5),
        )
        # The role needs its policy before the first lookup.
        addresses.node.add_dependency(self._lookup)
        return [addresses.get_response_field(path) for path in paths]
