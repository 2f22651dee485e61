"""Todos in DynamoDB. Every method returns or raises within DEADLINE_SECONDS, the SDK's retries included."""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Semaphore
from typing import Any, TypedDict

import boto3
from botocore.config import Config

from todo.settings import MAX_CONCURRENT_CALLS

DEADLINE_SECONDS = 8.0  # the API gives up after 10
CONNECT_TIMEOUT, READ_TIMEOUT, ATTEMPTS = 0.5, 1.0, 3
# The SDK's standard mode sleeps up to 1 s before the second attempt and up to 2 s before the third.
SLOWEST_CALL = ATTEMPTS * (CONNECT_TIMEOUT + READ_TIMEOUT) + sum(2.0**n for n in range(ATTEMPTS - 1))
LATEST_START = DEADLINE_SECONDS - SLOWEST_CALL  # a call that starts later may end after the deadline
MAX_IDS = 5  # that a create tries; two random ids in a row that are both taken are already a sign of an error


class Todo(TypedDict):
    """The part of an item that clients see."""

    id: str
    data: str


class UnavailableError(Exception):
    """The request was not served in time; the same request may succeed later."""


def new_id() -> str:
    """Eight hexadecimal digits."""
    return secrets.token_hex(4)


def _todo(item: Mapping[str, Any]) -> Todo:
    return {"id": item["id"]["S"], "data": item["data"]["S"]}


class Store:
    """One table, one client for all threads of a process."""

    def __init__(self, *, table: str, region: str) -> None:
        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=MAX_CONCURRENT_CALLS,
            user_agent="todo",  # the SDK's own, which it builds for each request, takes a tenth of a call's CPU time
        )
        self._client: Any = boto3.client("dynamodb", region_name=region, config=config)
        self._table = {"TableName": table}
        projection = {"ProjectionExpression": "id, #data", "ExpressionAttributeNames": {"#data": "data"}}
        self._consistent_read = {**self._table, "ConsistentRead": True, **projection}
        self._slots, self._stalled = Semaphore(MAX_CONCURRENT_CALLS), False

    @contextmanager
    def _slot(self) -> Iterator[None]:
        """A slot for one DynamoDB call. Raises UnavailableError when no slot becomes free before the latest start.

        From then on it raises at once, until a call has ended.
        """
        self._stalled = not self._slots.acquire(timeout=0 if self._stalled else LATEST_START)
        if self._stalled:
            raise UnavailableError(f"all {MAX_CONCURRENT_CALLS} slots for DynamoDB calls have been busy for too long")
        try:
            yield
        finally:
            self._slots.release()

    def create(self, data: str) -> Todo:
        """Stores a todo under an id that no other todo has; raises UnavailableError."""
        last_start, token = time.monotonic() + LATEST_START, secrets.token_hex(8)
        with self._slot():
            for _ in range(MAX_IDS):
                todo: Todo = {"id": new_id(), "data": data}
                try:
                    self._client.put_item(
                        **self._table,
                        Item={"id": {"S": todo["id"]}, "data": {"S": data}, "token": {"S": token}},
                        ConditionExpression="attribute_not_exists(id)",
                        ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    )
                    return todo
                except self._client.exceptions.ConditionalCheckFailedException as taken:
                    # With our own token, the todo is stored: the SDK repeated an attempt whose answer was lost.
                    if taken.response["Item"].get("token") == {"S": token}:
                        return todo
                if time.monotonic() > last_start:
                    break
        raise UnavailableError("every id that was tried belongs to another todo")

    def get(self, todo_id: str) -> Todo | None:
        """The todo with this id; None when there is none. Raises UnavailableError."""
        with self._slot():
            answer = self._client.get_item(**self._consistent_read, Key={"id": {"S": todo_id}})
        return _todo(answer["Item"]) if "Item" in answer else None

    def page(self, *, limit: int, after: str | None) -> tuple[list[Todo], str | None]:
        """At most `limit` todos after the one with the id `after`, and the id after which the next page starts, if any."""
        start = {"ExclusiveStartKey": {"id": {"S": after}}} if after else {}
        with self._slot():
            answer = self._client.scan(**self._consistent_read, Limit=limit, **start)
        last = answer.get("LastEvaluatedKey")
        return [_todo(item) for item in answer["Items"]], last["id"]["S"] if last else None
