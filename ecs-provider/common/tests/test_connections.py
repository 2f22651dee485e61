"""Who is connected to the endpoint service: listed, accepted, and in the way of a destroy. moto has no connections."""

from datetime import UTC, datetime
from typing import Any
from unittest.mock import MagicMock

import pytest

from common.checks import CheckError
from common.connections import check_connections, connections
from common.tests.test_checks import settings

MADE = datetime(2026, 11, 30, 19, 12, tzinfo=UTC)
OWN = [{"Name": "service-id", "Values": ["vpce-svc-1"]}]


def session(*states: str, services: tuple[str, ...] = ("vpce-svc-1",), unsuccessful: Any = ()) -> MagicMock:
    """Its EC2 has a connection of each state: vpce-0, vpce-1 and so on."""
    made = MagicMock()
    found = [
        {"VpcEndpointId": f"vpce-{number}", "VpcEndpointOwner": "111111111111", "VpcEndpointState": state,
         "ServiceId": "vpce-svc-1", "CreationTimestamp": MADE}
        for number, state in enumerate(states)
    ]  # fmt: skip
    pages = made.client().get_paginator().paginate
    pages.return_value.__iter__.side_effect = lambda: iter([{"VpcEndpointConnections": found}])
    pages.return_value.search.return_value = services
    made.client().accept_vpc_endpoint_connections.return_value = {"Unsuccessful": unsuccessful}
    return made


@pytest.mark.parametrize("state", ["available", "pending", "pendingAcceptance"])
def test_fails_when_a_destroy_would_break_an_api_and_says_how_to_go_on(state: str) -> None:
    reject = "reject-vpc-endpoint-connections --region us-west-2 --service-id vpce-svc-1 --vpc-endpoint-ids vpce-0"
    use = f"a-stack is in use: vpce-0 of account 111111111111: {state}; destroy global-apigw first, or cut them off: "
    with pytest.raises(CheckError, match=f"{use}aws ec2 {reject}$"):
        check_connections(found := session(state, "rejected"), settings())
    found.client().get_paginator().paginate.assert_called_with(Filters=OWN)


@pytest.mark.parametrize("state", ["deleted", "rejected", "failed"])
def test_a_destroy_goes_on_when_nobody_is_connected(state: str) -> None:
    check_connections(session(state), settings())


def test_connections_are_listed_with_the_command_that_accepts_one(capsys: pytest.CaptureFixture[str]) -> None:
    connections(found := session("available", "PendingAcceptance"), settings(), environ={"ACCEPT": ""})
    assert capsys.readouterr().out.splitlines() == [
        "endpoint                state              account       created",
        "vpce-0                  available          111111111111  2026-11-30 19:12 UTC",
        "vpce-1                  pendingAcceptance  111111111111  2026-11-30 19:12 UTC",
        "to accept the first that waits: make -C a-stack connections ACCEPT=vpce-1",
    ]
    found.client().accept_vpc_endpoint_connections.assert_not_called()


@pytest.mark.parametrize("state", ["pendingAcceptance", "rejected"])
def test_an_endpoint_that_waits_or_was_rejected_is_accepted(state: str, capsys: pytest.CaptureFixture[str]) -> None:
    connections(found := session(state), settings(), environ={"ACCEPT": "vpce-0"})
    accept = found.client().accept_vpc_endpoint_connections
    accept.assert_called_once_with(ServiceId="vpce-svc-1", VpcEndpointIds=["vpce-0"])
    assert capsys.readouterr().out.startswith(
        "accepted vpce-0 of account 111111111111, which is available within minutes"
    )


@pytest.mark.parametrize(
    ("found", "id", "message"),
    [
        (session(services=()), "", "a-stack is not deployed in us-west-2 of account 123456789012; deploy it, or"),
        (session("pending"), "vpce-9", "ACCEPT is vpce-9, expected an endpoint to a-stack: vpce-0$"),
        (session(), "vpce-9", "ACCEPT is vpce-9, expected an endpoint to a-stack: it has none$"),
        (session("available"), "vpce-0", "ACCEPT is vpce-0, which is available: it is accepted already$"),
        (
            session("rejected", unsuccessful=[{"Error": {"Message": "it is gone"}}]),
            "vpce-0",
            "AWS does not accept vpce-0, which is rejected: it is gone$",
        ),
    ],
)
def test_fails_when_an_endpoint_cannot_be_accepted(found: MagicMock, id: str, message: str) -> None:
    with pytest.raises(CheckError, match=message):
        connections(found, settings(), environ={"ACCEPT": id})
