"""The instances' rights to the table: moto grants every call, DynamoDB only those of the role."""

from typing import Any

import pytest
from botocore.client import BaseClient

from infra.database import ACTIONS
from tests.conftest import OPENAPI, ContractClient


def test_the_role_allows_the_calls_of_every_route_and_no_others(
    client: ContractClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    called, make_call = set(), BaseClient._make_api_call  # type: ignore[attr-defined] # botocore's own hook of moto

    def record(self: Any, operation: str, parameters: Any) -> Any:
        called.add(f"dynamodb:{operation}")
        return make_call(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", record)
    for path, operations in OPENAPI["paths"].items():
        for method in operations.keys() - {"parameters"}:
            client.open(path.replace("{todoId}", "00000000"), method=method, data={"data": "walk the dog"})
    assert called == {*ACTIONS}
