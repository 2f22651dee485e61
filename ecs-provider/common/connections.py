"""Deleting a provider breaks every API that connects to it, so `destroy` stops while an endpoint is connected."""

import boto3

from common.checks import CheckError, stack_resources
from common.settings import Settings

CONNECTED = ["available", "pending", "pendingAcceptance"]


def check_connections(session: boto3.Session, settings: Settings) -> None:
    """No endpoint may be connected to the stack's endpoint service; CloudFormation could not delete the service."""
    ec2 = session.client("ec2", region_name=settings.region)
    for service in stack_resources(session, settings, "AWS::EC2::VPCEndpointService"):
        answer = ec2.describe_vpc_endpoint_connections(Filters=[{"Name": "service-id", "Values": [service]}])
        connected = [each for each in answer["VpcEndpointConnections"] if each["VpcEndpointState"] in CONNECTED]
        if connected:
            lines = [
                f"{e['VpcEndpointId']} of account {e['VpcEndpointOwner']}: {e['VpcEndpointState']}" for e in connected
            ]
            raise CheckError(
                f"{settings.stack} is in use: {'; '.join(lines)}; destroy global-apigw first, or cut them off: "
                f"aws ec2 reject-vpc-endpoint-connections --region {settings.region} --service-id {service} "
                f"--vpc-endpoint-ids {' '.join(each['VpcEndpointId'] for each in connected)}"
            )
