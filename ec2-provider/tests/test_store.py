"""The stored todos when ids repeat, answers get lost, or DynamoDB does not answer."""

import socket
import time
from contextlib import ExitStack
from functools import partial
from itertools import chain, repeat
from typing import Any
from unittest.mock import Mock, patch

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from moto.core.models import botocore_stubber

from tests.conftest import SETTINGS, ContractClient
from todo import create_app, store
from todo.settings import MAX_CONCURRENT_CALLS, MAX_CONCURRENT_REQUESTS


@pytest.fixture
def todos(table: Any) -> store.Store:
    return store.Store(table="todo", region=SETTINGS.aws_region)


def ids(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    """The generator gives these ids, and then repeats the last one."""
    given = chain(values, repeat(values[-1]))
    monkeypatch.setattr(store, "new_id", lambda: next(given))


def test_repeated_id_gets_a_new_one(client: ContractClient, table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ids(monkeypatch, "aaaaaaaa", "aaaaaaaa", "aaaaaaaa", "bbbbbbbb")
    for data in ("first", "second"):
        client.post("/todo", data={"data": data})
    assert {item["id"]: item["data"] for item in table.scan()["Items"]} == {"aaaaaaaa": "first", "bbbbbbbb": "second"}


def test_endlessly_repeated_id_never_overwrites(client: ContractClient, table: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    ids(monkeypatch, "aaaaaaaa")
    client.post("/todo", data={"data": "first"})
    assert client.post("/todo", data={"data": "second"}).status_code == 503
    assert [item["data"] for item in table.scan()["Items"]] == ["first"]


def test_no_new_id_is_tried_when_its_answer_could_come_too_late(
    todos: store.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids(monkeypatch, "aaaaaaaa", "aaaaaaaa", "bbbbbbbb")
    todos.create("first")
    clock = chain([0.0], repeat(store.LATEST_START + 0.01))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with pytest.raises(store.UnavailableError):
        todos.create("second")


@pytest.mark.parametrize("lost", [1, 2])
@patch("time.sleep", Mock())
def test_retry_after_a_lost_answer_stores_once(todos: store.Store, table: Any, lost: int) -> None:
    requests = []

    def reach_dynamodb_and_lose_the_answer(event_name: str, request: Any, **_: Any) -> None:
        requests.append(request)
        if len(requests) <= lost:
            botocore_stubber(event_name, request)
            raise ReadTimeoutError(endpoint_url=request.url)

    todos._client.meta.events.register_first("before-send.dynamodb.PutItem", reach_dynamodb_and_lose_the_answer)
    created = todos.create("once")
    assert len(requests) == lost + 1
    assert [(item["id"], item["data"]) for item in table.scan()["Items"]] == [(created["id"], "once")]


def test_silent_dynamodb_is_a_503_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{silent.getsockname()[1]}")
        app = create_app(SETTINGS)
        monkeypatch.setattr(time, "sleep", slept.append)
        started = time.monotonic()
        response = app.test_client().post("/todo", data={"data": "x"})
        waited = time.monotonic() - started
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert [delay <= 2.0**n for n, delay in enumerate(slept)] == [True] * (store.ATTEMPTS - 1)
    slowest_sleeps = sum(2.0**n for n in range(len(slept)))
    assert waited + slowest_sleeps < store.SLOWEST_CALL <= store.DEADLINE_SECONDS


def test_a_stall_is_refused_at_once_until_a_call_ends(todos: store.Store) -> None:
    with todos._slot():  # of MAX_CONCURRENT_CALLS
        with ExitStack() as stalled:
            for _ in range(MAX_CONCURRENT_CALLS - 1):
                stalled.enter_context(todos._slot())
            waited = []
            for ask in (partial(todos.create, "x"), partial(todos.get, "x"), partial(todos.page, limit=1, after=None)):
                started = time.monotonic()
                with pytest.raises(store.UnavailableError):
                    ask()
                waited.append(time.monotonic() - started)
        assert waited[0] >= store.LATEST_START > max(waited[1:])
        assert todos.get("x") is None


def test_a_call_that_fails_gives_its_turn_back(todos: store.Store) -> None:
    for _ in range(MAX_CONCURRENT_CALLS + 1):
        with pytest.raises(ClientError, match="ValidationException"):
            todos.get("")


def test_connections_suffice_for_every_call(todos: store.Store) -> None:
    config = todos._client.meta.config
    assert MAX_CONCURRENT_REQUESTS > MAX_CONCURRENT_CALLS == config.max_pool_connections
    assert (config.connect_timeout, config.read_timeout) == (store.CONNECT_TIMEOUT, store.READ_TIMEOUT)
