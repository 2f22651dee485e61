"""Clients that send a body that stays unread, or send slowly, under the real gunicorn: no other client may notice."""

import os
import re
import resource
import runpy
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection

import pytest
from gunicorn.config import Config  # type: ignore[import-untyped]

from tests.conftest import FOLDER
from tests.test_todo_server import ENVIRON, Server, get
from todo.store import DEADLINE_SECONDS
from todo.validation import MAX_BODY
from todo.worker import CLOSE_WITHIN, RECEIVE_WITHIN

CLIENTS = 200  # of each kind
BOUND_SECONDS = 30
TOO_LONG = b"x" * (MAX_BODY + 1)
REFUSED = [
    ("GET", "/todo/nobody", 404),
    ("HEAD", "/todo/nobody", 404),
    ("GET", "/healthz", 200),
    ("GET", "/todo?limit=0", 400),
    ("PUT", "/todo", 405),
    ("POST", "/nowhere", 404),
    ("POST", "/todo", 413),
]
# The part of a request that arrives before its client becomes slow and sends only a byte now and then.
HEAD = b"POST /todo HTTP/1.1\r\nHost: todo\r\nContent-Type: application/json\r\n"
BEGUN = (HEAD, HEAD + b"Content-Length: 60000\r\n\r\n{", HEAD + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n{")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))  # macOS starts with 256
    server = Server()
    with closing(server.connect()):
        yield server
    server.kill()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("method", "path", "status"), REFUSED)
def test_a_body_that_stays_unread_closes_the_connection(
    server: Server, method: str, path: str, status: int, chunked: bool
) -> None:
    for body, connection in ((TOO_LONG, "close"), (TOO_LONG[1:], "keep-alive")):
        with closing(server.connect()) as client:
            pieces = (body[start : start + 9999] for start in range(0, len(body), 9999))
            headers = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(body))}
            client.request(method, path, pieces, headers, encode_chunked=chunked)
            answer = client.getresponse()
            answer.read()
            expected = 415 if (status, connection) == (413, "keep-alive") else status
            assert (answer.status, answer.headers["Connection"]) == (expected, connection)
            if connection == "keep-alive":
                assert get(client, "/todo/next")[0] == 404


def test_a_client_may_wait_for_100_continue(server: Server) -> None:
    with server.raw() as client:
        client.sendall(HEAD + b"Content-Length: 2\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 400 ")


def test_half_a_body_is_not_taken_for_a_whole_one(server: Server) -> None:
    with server.raw() as client:
        client.sendall(HEAD + b'Content-Length: 99\r\n\r\n{"data": ""}')
        client.shutdown(socket.SHUT_WR)
        assert client.makefile("rb").read() == b""


def seconds_for_others(server: Server, kept: HTTPConnection) -> float:
    """On a new connection and on one that is open already."""
    started = time.monotonic()
    with closing(server.connect()):
        assert get(kept, "/todo/nobody")[0] == 404
    return time.monotonic() - started


def is_cut_off(client: socket.socket) -> bool:
    try:
        client.send(b"x")
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@pytest.mark.slow
def test_slow_clients_are_cut_off_and_hold_up_nobody(server: Server) -> None:
    slow: list[socket.socket] = []
    with ExitStack() as stack:
        kept = stack.enter_context(closing(server.connect()))
        usual = max(seconds_for_others(server, kept) for _ in range(10))
        began, waits = time.monotonic(), []
        for begun in BEGUN:
            for _ in range(CLIENTS):
                slow.append(stack.enter_context(server.raw()))
                slow[-1].sendall(begun)
                slow[-1].setblocking(False)
            waits.append(seconds_for_others(server, kept))
        while slow:
            waits.append(seconds_for_others(server, kept))
            slow = [client for client in slow if not is_cut_off(client)]
            assert time.monotonic() - began < BOUND_SECONDS, f"{len(slow)} are still served"
            time.sleep(0.1)
    assert time.monotonic() - began > RECEIVE_WITHIN - 1  # so that they were slow for long enough
    assert max(waits) < usual + 1, waits


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_worker_has_threads_for_open_connections_while_the_other_pauses(server: Server) -> None:
    with ExitStack() as stack:
        kept = [stack.enter_context(closing(server.connect())) for _ in range(24)]  # some of each worker
        paused = server.workers()[0]
        stack.callback(os.kill, paused, signal.SIGCONT)
        os.kill(paused, signal.SIGSTOP)
        for _ in range(3 * CLIENTS):
            stack.enter_context(server.raw()).sendall(HEAD)
        time.sleep(1)  # in which the other worker could accept all of them
        os.kill(paused, signal.SIGCONT)
        assert max(seconds_for_others(server, each) for each in kept) < RECEIVE_WITHIN / 2


def test_the_limits_of_gunicorn_and_of_its_unit_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", ENVIRON)
    conf = runpy.run_path(str(FOLDER / "todo/gunicorn.conf.py"))
    unit = dict(re.findall(r"^(\w+)=(\d+)$", (FOLDER / "todo/todo.service").read_text(), re.MULTILINE))
    # A request that came at the end of the drain is answered, and its connection closed, before systemd kills the workers.
    longest = conf["drain_seconds"] + DEADLINE_SECONDS + CLOSE_WITHIN
    assert longest < conf["graceful_timeout"] < int(unit["TimeoutStopSec"])
    assert int(unit["TasksMax"]) > conf["workers"] * (conf["threads"] + 1)
    # A thread that waits for the first byte has an epoll of its own.
    assert int(unit["LimitNOFILE"]) > Config().worker_connections + conf["threads"] + 100
