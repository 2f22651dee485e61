"""The instances' rights to the table: moto grants every call, DynamoDB only those of the role."""

from unittest.mock import patch

from botocore.client import BaseClient

from infra.database import ACTIONS
from tests.conftest import OPENAPI, ContractClient


def test_the_role_allows_the_calls_of_every_route_and_no_others(client: ContractClient) -> None:
    make_call = BaseClient._make_api_call  # type: ignore[attr-defined] # botocore's own hook of moto
    with patch.object(BaseClient, "_make_api_call", autospec=True, side_effect=make_call) as calls:
        for path, operations in OPENAPI["paths"].items():
            for method in operations.keys() - {"parameters"}:
                client.open(path.replace("{todoId}", "00000000"), method=method, data={"data": "walk the dog"})
    assert {f"dynamodb:{call.args[1]}" for call in calls.call_args_list} == {*ACTIONS}
