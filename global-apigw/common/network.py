"""A VPC with two isolated subnets, without internet or NAT gateway. Traffic leaves it by VPC endpoints alone, and its resolver
answers for names of AWS alone.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_route53resolver as resolver
from constructs import Construct

from common.stack import acknowledge, closed_security_group

Rule = resolver.CfnFirewallRuleGroup.FirewallRuleProperty


class Network(Construct):
    """`interfaces` are AWS service endpoints by short name; `gateways` map "s3" or "dynamodb" to all it lets pass.

    Compute must depend on the whole network (`compute.node.add_dependency(network)`): a task or instance that
    starts before an endpoint or route exists fails, and the stack rolls back.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        zone_ids: Sequence[str],
        interfaces: Sequence[str] = (),
        gateways: Mapping[str, Sequence[iam.PolicyStatement]] | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=len(zone_ids),
            nat_gateways=0,
            create_internet_gateway=False,
            # Would add a Lambda function; nothing here uses the default security group.
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="Isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24)
            ],
        )
        for subnet, zone_id in zip(self.vpc.isolated_subnets, zone_ids, strict=True):
            resource = cast(ec2.CfnSubnet, subnet.node.default_child)
            resource.availability_zone = None
            resource.availability_zone_id = zone_id
        reason = "traffic leaves by VPC endpoints alone; flow logs would cost more than they show"
        acknowledge(self.vpc, "AwsSolutions-VPC7", reason)
        self._filter_names()
        self._interfaces = [self._interface(name) for name in interfaces]
        for name, statements in (gateways or {}).items():
            endpoint = self.vpc.add_gateway_endpoint(name, service=ec2.GatewayVpcEndpointAwsService(name))
            for statement in statements:
                endpoint.add_to_policy(statement.copy(principals=[iam.AnyPrincipal()]))

    def _filter_names(self) -> None:
        """Answer for AWS's names alone: a query for any other name could carry data to the server of the name.

        No route and no security group stops a query. By default it fails closed: when it fails, the resolver
        answers nothing.
        """
        allowed = resolver.CfnFirewallDomainList(self, "AllowedNames", domains=["*.amazonaws.com"])
        everything = resolver.CfnFirewallDomainList(self, "AllNames", domains=["*"])
        # AWS may redirect its names anywhere, and nobody else can.
        trust = {"firewall_domain_redirection_action": "TRUST_REDIRECTION_DOMAIN"}
        allow = Rule(priority=100, action="ALLOW", firewall_domain_list_id=allowed.ref, **trust)
        # NXDOMAIN for "com" would say that no name below "com" exists.
        block = Rule(priority=200, action="BLOCK", firewall_domain_list_id=everything.ref, block_response="NODATA")
        rules = resolver.CfnFirewallRuleGroup(self, "DnsFirewall", firewall_rules=[allow, block])
        # Without mutation protection, which would also keep the stack from being deleted.
        resolver.CfnFirewallRuleGroupAssociation(
            self, "DnsFirewallOfVpc", firewall_rule_group_id=rules.ref, vpc_id=self.vpc.vpc_id, priority=101
        )

    def _interface(self, name: str) -> ec2.InterfaceVpcEndpoint:
        group = closed_security_group(self, self.vpc, f"endpoint of {name}", f"{name}.sg")
        endpoint = self.vpc.add_interface_endpoint(
            name,
            service=ec2.InterfaceVpcEndpointAwsService(name),
            security_groups=[group],
            open=False,
            private_dns_enabled=True,
        )
        # Credentials of another account could carry data out.
        own = {"StringEquals": {"aws:PrincipalAccount": Stack.of(self).account}}
        endpoint.add_to_policy(
            iam.PolicyStatement(principals=[iam.AnyPrincipal()], actions=["*"], resources=["*"], conditions=own)
        )
        return endpoint

    def allow_from(self, client: ec2.IConnectable) -> None:
        """Let `client` reach every endpoint."""
        for endpoint in self._interfaces:
            client.connections.allow_to(endpoint, ec2.Port.tcp(443), "AWS endpoint")
        # A gateway endpoint has no security group. The route table has no other way out.
        client.connections.allow_to(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "gateway endpoints")
