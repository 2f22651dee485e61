"""A provider that somebody is connected to is not deleted."""

from typing import Any

import pytest

from common.checks import CheckError
from common.connections import check_connections
from common.settings import Settings

SETTINGS = Settings.read({"AWS_ACCOUNT": "222222222222", "AWS_REGION": "us-west-2"}, stack="a-stack")


class Ec2:
    """A session whose EC2 has one connection; moto has none."""

    def __init__(self, state: str) -> None:
        self.state = state

    def client(self, *_: object, **__: object) -> "Ec2":
        return self

    def describe_vpc_endpoint_connections(self, Filters: list[dict[str, Any]]) -> dict[str, Any]:
        assert Filters == [{"Name": "service-id", "Values": ["vpce-svc-1"]}]
        endpoint = {"VpcEndpointId": "vpce-9", "VpcEndpointOwner": "111111111111", "VpcEndpointState": self.state}
        return {"VpcEndpointConnections": [endpoint]}


@pytest.fixture(autouse=True)
def deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.connections.stack_resources", lambda *_: ["vpce-svc-1"])


@pytest.mark.parametrize("state", ["available", "pending", "pendingAcceptance"])
def test_fails_when_a_destroy_would_cut_somebody_off_and_says_how(state: str) -> None:
    with pytest.raises(CheckError) as error:
        check_connections(Ec2(state), SETTINGS)  # type: ignore[arg-type] # a double
    assert f"a-stack is in use: vpce-9 of account 111111111111: {state}" in str(error.value)
    assert (
        "aws ec2 reject-vpc-endpoint-connections --region us-west-2 --service-id vpce-svc-1 --vpc-endpoint-ids vpce-9"
        in str(error.value)
    )


@pytest.mark.parametrize("state", ["deleted", "rejected", "failed"])
def test_a_destroy_goes_on_when_nobody_is_connected(state: str) -> None:
    check_connections(Ec2(state), SETTINGS)  # type: ignore[arg-type] # a double
