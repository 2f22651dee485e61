"""One service's way into its provider's account: an interface VPC endpoint and the addresses it got."""

from __future__ import annotations

from aws_cdk import Acknowledgment, Duration, Fn, RemovalPolicy, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import custom_resources as cr
from constructs import Construct

from common.network import Network


class AddressLookup(Construct):
    """What the lookups of all endpoints share: a role that may describe network interfaces, and a log group."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        # For functions of this account alone, as in AWS's own example: aws/agent-toolkit-for-aws,
        # processing-s3-uploads-with-step-functions/references/iam-roles.md.
        own = {"StringEquals": {"aws:SourceAccount": Stack.of(self).account}}
        trusted = iam.ServicePrincipal("lambda.amazonaws.com", conditions=own)
        self.role = iam.Role(self, "Role", assumed_by=trusted)
        self.role.add_to_policy(iam.PolicyStatement(actions=["ec2:DescribeNetworkInterfaces"], resources=["*"]))
        Validations.of(self.role).acknowledge(
            Acknowledgment(
                id="AwsSolutions::AwsSolutions-IAM5[Resource::*]",
                reason="ec2:DescribeNetworkInterfaces has no resource-level permission",
            )
        )
        self.log_group = logs.LogGroup(
            self, "Logs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
        )
        self.log_group.grant_write(self.role)


class ServiceEndpoint(Construct):
    """`addresses` are the endpoint's private addresses, one a subnet, as tokens."""

    def __init__(
        self, scope: Construct, id: str, *, network: Network, service_name: str, port: int, lookup: AddressLookup
    ) -> None:
        super().__init__(scope, id)
        self.security_group = ec2.SecurityGroup(
            self, "Sg", vpc=network.vpc, allow_all_outbound=False, description=f"endpoint of {id}"
        )
        endpoint = ec2.InterfaceVpcEndpoint(
            self,
            "Endpoint",
            vpc=network.vpc,
            service=ec2.InterfaceVpcEndpointService(service_name, port),
            subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            security_groups=[self.security_group],
            private_dns_enabled=False,
            open=False,
        )
        count = len(network.vpc.isolated_subnets)
        # Selected one by one: the list as a whole would drag in one more provider function.
        interfaces = [Fn.select(k, endpoint.vpc_endpoint_network_interface_ids) for k in range(count)]
        paths = [f"NetworkInterfaces.{k}.PrivateIpAddress" for k in range(count)]
        call = cr.AwsSdkCall(
            service="EC2",
            action="describeNetworkInterfaces",
            parameters={"NetworkInterfaceIds": interfaces},
            # Unfiltered, the answer exceeds the 4,096 bytes that a custom resource may return.
            output_paths=paths,
            physical_resource_id=cr.PhysicalResourceId.of(endpoint.vpc_endpoint_id),
        )
        addresses = cr.AwsCustomResource(
            self,
            "Addresses",
            on_create=call,
            on_update=call,
            role=lookup.role,
            log_group=lookup.log_group,
            install_latest_aws_sdk=False,
            # A lookup takes seconds. One that never answers would hold the deploy for CloudFormation's hour.
            service_timeout=Duration.minutes(5),
        )
        # The role's policy must be there before the first lookup.
        addresses.node.add_dependency(lookup)
        self.addresses = [addresses.get_response_field(path) for path in paths]
