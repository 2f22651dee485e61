"""Todos in DynamoDB. Every method returns or raises within DEADLINE_SECONDS, the SDK's retries included."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Semaphore
from typing import TYPE_CHECKING, Any, TypedDict

import boto3
from botocore.config import Config

from todo.settings import MAX_CONCURRENT_CALLS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, ScanInputTypeDef

DEADLINE_SECONDS = 8.0  # seconds; the API in front gives up after 10
CONNECT_TIMEOUT, READ_TIMEOUT, ATTEMPTS = 0.5, 1.0, 3
# The SDK's standard mode sleeps up to 1 s before the second attempt and up to 2 s before the third.
SLOWEST_CALL = ATTEMPTS * (CONNECT_TIMEOUT + READ_TIMEOUT) + sum(2.0**n for n in range(ATTEMPTS - 1))
MAX_IDS = 5  # that a create tries; two random ids in a row being taken is already unheard of


class Todo(TypedDict):
    """What clients see of an item; its token stays here."""

    id: str
    data: str


class BusyError(Exception):
    """As many calls as may be under way have been so for long."""


class NoFreeIdError(Exception):
    """Every id that was tried belongs to another todo."""


def new_id() -> str:
    """Eight hexadecimal digits."""
    return secrets.token_hex(4)


def _todo(item: dict[str, "AttributeValueTypeDef"]) -> Todo:
    return {"id": item["id"]["S"], "data": item["data"]["S"]}


class Store:
    """One table, one client for all threads of a process."""

    def __init__(self, *, table: str, region: str) -> None:
        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=MAX_CONCURRENT_CALLS,
            user_agent="todo",  # composing the SDK's own for each request takes a tenth of a call's CPU time
        )
        self._client = boto3.client("dynamodb", region_name=region, config=config)
        self._table = table
        self._turns, self._stalled = Semaphore(MAX_CONCURRENT_CALLS), False

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Raises BusyError when a call could no longer end within DEADLINE_SECONDS, and then at once until another has ended."""
        self._stalled = not self._turns.acquire(timeout=0 if self._stalled else DEADLINE_SECONDS - SLOWEST_CALL)
        if self._stalled:
            raise BusyError(f"{MAX_CONCURRENT_CALLS} calls are under way and none ends")
        try:
            yield
        finally:
            self._turns.release()

    def create(self, data: str) -> Todo:
        """Stores a todo under an id that no other has; raises NoFreeIdError or BusyError."""
        last_start = time.monotonic() + DEADLINE_SECONDS - SLOWEST_CALL
        with self._turn():
            return self._create(data, last_start)

    def _create(self, data: str, last_start: float) -> Todo:
        token = secrets.token_hex(8)
        for _ in range(MAX_IDS):
            todo: Todo = {"id": new_id(), "data": data}
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item={"id": {"S": todo["id"]}, "data": {"S": data}, "token": {"S": token}},
                    ConditionExpression="attribute_not_exists(id)",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
                return todo
            except self._client.exceptions.ConditionalCheckFailedException as taken:
                # Our own token: an attempt whose answer was lost had stored it, and the SDK tried again.
                response: Any = taken.response
                if response["Item"].get("token") == {"S": token}:
                    return todo
            if time.monotonic() > last_start:
                break
        raise NoFreeIdError

    def get(self, todo_id: str) -> Todo | None:
        with self._turn():
            answer = self._client.get_item(
                TableName=self._table, Key={"id": {"S": todo_id}}, ConsistentRead=True,
                ProjectionExpression="id, #data", ExpressionAttributeNames={"#data": "data"},
            )  # fmt: skip
        return _todo(answer["Item"]) if "Item" in answer else None

    def page(self, *, limit: int, after: str | None) -> tuple[list[Todo], str | None]:
        """At most `limit` todos after the one with that id, and the id to go on after, if any may follow."""
        scan: ScanInputTypeDef = {
            "TableName": self._table,
            "Limit": limit,
            "ConsistentRead": True,
            "ProjectionExpression": "id, #data",
            "ExpressionAttributeNames": {"#data": "data"},
        }
        if after:
            scan["ExclusiveStartKey"] = {"id": {"S": after}}
        with self._turn():
            answer = self._client.scan(**scan)
        last = answer.get("LastEvaluatedKey")
        return [_todo(item) for item in answer["Items"]], last["id"]["S"] if last else None
