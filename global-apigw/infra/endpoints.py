"""The interface VPC endpoint of a service's endpoint service, and the addresses that the endpoint gets."""

from aws_cdk import Duration, Fn, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import custom_resources as cr
from constructs import Construct

from common.stack import acknowledge, closed_security_group, log_group


class AddressLookup(Construct):
    """The lookups of all endpoints share a role that may describe network interfaces, and a log group."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        # For functions of this account alone, as in AWS's own example: aws/agent-toolkit-for-aws,
        # processing-s3-uploads-with-step-functions/references/iam-roles.md.
        own = {"StringEquals": {"aws:SourceAccount": Stack.of(self).account}}
        trusted = iam.ServicePrincipal("lambda.amazonaws.com", conditions=own)
        self.role = iam.Role(self, "Role", assumed_by=trusted)
        self.role.add_to_policy(iam.PolicyStatement(actions=["ec2:DescribeNetworkInterfaces"], resources=["*"]))
        reason = "ec2:DescribeNetworkInterfaces has no resource-level permission"
        acknowledge(self.role, "AwsSolutions-IAM5[Resource::*]", reason)
        self.log_group = log_group(self)
        self.log_group.grant_write(self.role)


class ServiceEndpoint(Construct):
    """`addresses` are the endpoint's private addresses, one a subnet, as tokens."""

    def __init__(
        self, scope: Construct, id: str, *, vpc: ec2.IVpc, service_name: str, port: int, lookup: AddressLookup
    ) -> None:
        super().__init__(scope, id)
        self.security_group = closed_security_group(self, vpc, f"endpoint of {id}")
        endpoint = ec2.InterfaceVpcEndpoint(
            self,
            "Endpoint",
            vpc=vpc,
            service=ec2.InterfaceVpcEndpointService(service_name, port),
            security_groups=[self.security_group],
            private_dns_enabled=False,
            open=False,
        )
        numbers = range(len(vpc.isolated_subnets))
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
            self,
            "Addresses",
            on_update=call,  # on a create, too
            role=lookup.role,
            log_group=lookup.log_group,
            install_latest_aws_sdk=False,
            # A lookup takes seconds. Without a timeout, CloudFormation waits an hour for a lookup that never answers.
            service_timeout=Duration.minutes(5),
        )
        # The role needs its policy before the first lookup.
        addresses.node.add_dependency(lookup)
        self.addresses = [addresses.get_response_field(path) for path in paths]
