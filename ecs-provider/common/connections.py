"""The connections to a provider's endpoint service: a verb lists them and accepts one, and a destroy needs none."""

from collections.abc import Mapping
from typing import Any

import boto3

from common.checks import CheckError, stack_resources, state_of
from common.settings import Settings

CONNECTED = ("available", "pending", "pendingAcceptance")
ROW = "{VpcEndpointId:<24}{VpcEndpointState:<19}{VpcEndpointOwner:<14}{CreationTimestamp:%Y-%m-%d %H:%M UTC}".format_map


def find_connections(session: boto3.Session, settings: Settings, service: str) -> dict[str, dict[str, Any]]:
    """The connections to the endpoint service, and the requests for one, by the id of the endpoint."""
    ec2: Any = session.client("ec2", region_name=settings.region)
    wanted = [{"Name": "service-id", "Values": [service]}]
    pages = ec2.get_paginator("describe_vpc_endpoint_connections").paginate(Filters=wanted)
    found = [each for page in pages for each in page["VpcEndpointConnections"]]
    return {each["VpcEndpointId"]: each | {"VpcEndpointState": state_of(each["VpcEndpointState"])} for each in found}


def check_connections(session: boto3.Session, settings: Settings) -> None:
    """No endpoint may be connected to a provider's endpoint service: deleting the service breaks the API that connects to it."""
    for service in stack_resources(session, settings, "AWS::EC2::VPCEndpointService"):
        shown = "{VpcEndpointId} of account {VpcEndpointOwner}: {VpcEndpointState}".format_map
        found = find_connections(session, settings, service)
        if connected := {id: each for id, each in found.items() if each["VpcEndpointState"] in CONNECTED}:
            raise CheckError(
                f"{settings.stack} is in use: {'; '.join(map(shown, connected.values()))}; destroy global-apigw first, or cut "
                f"them off: aws ec2 reject-vpc-endpoint-connections --region {settings.region} --service-id {service} "
                f"--vpc-endpoint-ids {' '.join(connected)}"
            )


def connections(session: boto3.Session, settings: Settings, *, environ: Mapping[str, str]) -> None:
    """The verb `connections`: all of them, or the acceptance of the endpoint ACCEPT."""
    services = stack_resources(session, settings, "AWS::EC2::VPCEndpointService")
    if not services:
        where = f"{settings.region} of account {settings.account}"
        raise CheckError(
            f"{settings.stack} is not deployed in {where}; deploy it, or correct AWS_ACCOUNT and AWS_REGION"
        )
    found = find_connections(session, settings, services[0])
    if id := environ.get("ACCEPT"):
        print(accept(session, settings, found, id))
        return
    print("endpoint                state              account       created", *map(ROW, found.values()), sep="\n")
    if waiting := [id for id, each in found.items() if each["VpcEndpointState"] == "pendingAcceptance"]:
        print(f"to accept the first that waits: make -C {settings.stack} connections ACCEPT={waiting[0]}")


def accept(session: boto3.Session, settings: Settings, found: Mapping[str, dict[str, Any]], id: str) -> str:
    """What follows once the endpoint is accepted. AWS also accepts one that was rejected (*assumed*)."""
    if id not in found:
        raise CheckError(
            f"ACCEPT is {id}, expected an endpoint to {settings.stack}: {', '.join(found) or 'it has none'}"
        )
    service, state, owner = (found[id][key] for key in ("ServiceId", "VpcEndpointState", "VpcEndpointOwner"))
    if state in ("available", "pending"):
        raise CheckError(f"ACCEPT is {id}, which is {state}: it is accepted already")
    ec2 = session.client("ec2", region_name=settings.region)
    if failed := ec2.accept_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=[id]).get("Unsuccessful"):
        raise CheckError(f"AWS does not accept {id}, which is {state}: {failed[0]['Error']['Message']}")
    return f"accepted {id} of account {owner}, which is available within minutes; then its team runs make doctor"
