"""A provider that somebody is connected to is not deleted."""

from typing import Any

import pytest

from common.checks import CheckError
from common.connections import check_connections
from common.settings import Settings

SETTINGS = Settings.read({"AWS_ACCOUNT": "222222222222", "AWS_REGION": "us-west-2"}, stack="a-stack")


class Connections:
    """EC2 and CloudFormation as a provider sees them; moto has no endpoint connections."""

    def __init__(self, state: str) -> None:
        self.state = state

    def client(self, *_: object, **__: object) -> "Connections":
        return self

    def get_paginator(self, operation: str) -> "Connections":
        assert operation == "list_stack_resources"
        return self

    def paginate(self, StackName: str) -> list[dict[str, Any]]:
        """Two pages: a stack may have more resources than one shows. The deleted one is a failed creation's."""
        kind, status = "AWS::EC2::VPCEndpointService", "CREATE_COMPLETE"
        gone = {"ResourceType": kind, "PhysicalResourceId": "vpce-svc-0", "ResourceStatus": "DELETE_COMPLETE"}
        service = {"ResourceType": kind, "PhysicalResourceId": "vpce-svc-1", "ResourceStatus": status}
        return [{"StackResourceSummaries": [gone]}, {"StackResourceSummaries": [service]}]

    def describe_vpc_endpoint_connections(self, Filters: list[dict[str, Any]]) -> dict[str, Any]:
        assert Filters == [{"Name": "service-id", "Values": ["vpce-svc-1"]}]
        endpoint = {"VpcEndpointId": "vpce-9", "VpcEndpointOwner": "111111111111", "VpcEndpointState": self.state}
        return {"VpcEndpointConnections": [endpoint]}


@pytest.mark.parametrize("state", ["available", "pending", "pendingAcceptance"])
def test_fails_when_a_destroy_would_cut_somebody_off_and_says_how(state: str) -> None:
    with pytest.raises(CheckError) as error:
        check_connections(Connections(state), SETTINGS)  # type: ignore[arg-type]
    assert f"a-stack is in use: vpce-9 of account 111111111111: {state}" in str(error.value)
    assert (
        "aws ec2 reject-vpc-endpoint-connections --region us-west-2 --service-id vpce-svc-1 --vpc-endpoint-ids vpce-9"
        in str(error.value)
    )


@pytest.mark.parametrize("state", ["deleted", "rejected", "failed"])
def test_a_destroy_goes_on_when_nobody_is_connected(state: str) -> None:
    check_connections(Connections(state), SETTINGS)  # type: ignore[arg-type]
