"""The todo service under the real gunicorn, without DynamoDB: the behaviour that depends on the server."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FOLDER
from todo.settings import MAX_CONCURRENT_CALLS
from todo.store import READ_TIMEOUT

GUNICORN = [str(Path(sys.executable).with_name("gunicorn")), "-c", "todo/gunicorn.conf.py"]
ENVIRON = {"TABLE_NAME": "todo", "AWS_REGION": "us-west-2"}


class Server:
    """A running gunicorn."""

    def __init__(self, drain_seconds: str = "0", **environ: str) -> None:
        environ |= {**ENVIRON, "DRAIN_SECONDS": drain_seconds}
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        # Clients may connect before the server runs: the kernel keeps their connections for it.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port, number = listener.getsockname()[1], listener.fileno()
            command = [*GUNICORN, "--bind", f"fd://{number}"]
            self.process = subprocess.Popen(
                command, cwd=FOLDER, env=environ, pass_fds=[number], start_new_session=True, **pipes
            )

    def connect(self) -> HTTPConnection:
        """Once it answers."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        assert get(connection, "/healthz")[0] == 200
        return connection

    def raw(self) -> socket.socket:
        """A connection that sends any bytes."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def workers(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def stop(self) -> list[dict[str, Any]]:
        """Its access log."""
        self.process.terminate()
        out, err = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def kill(self) -> list[dict[str, Any]]:
        """Its access log until now."""
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # and its workers, which would wait for their requests
        return [json.loads(line) for line in self.process.communicate()[0].splitlines()]


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    server = Server(getattr(request, "param", "0"))
    yield server
    server.kill()


def get(connection: HTTPConnection, path: str, headers: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Status, Connection header and body."""
    connection.request("GET", path, headers=headers or {})
    response = connection.getresponse()
    return response.status, response.headers["Connection"], response.read().decode()


def test_server_keeps_http_in_order(server: Server) -> None:
    connection = server.connect()
    kept = connection.sock
    spoofed = {"x_auth_subject": "mallory", "X_Request_Id": "forged", "SCRIPT_NAME": "/todo"}
    assert get(connection, "/todo/nobody", spoofed)[0] == 404
    assert get(connection, "/todo/again")[:2] == (404, "keep-alive")
    assert connection.sock is kept
    bad_header, long_line = (b"GET /todo HTTP/1.1\r\nA B: c\r\n\r\n", b"GET /%s HTTP/1.1\r\n\r\n" % (b"x" * 9000))
    bad_chunk = b"POST /todo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n"
    for broken, status in ((bad_header, 400), (long_line, 414), (bad_chunk, 400)):
        with server.raw() as raw:
            raw.sendall(broken)
            head, body = raw.makefile("rb").read().split(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status) and b"application/json" in head
        assert json.loads(body)["message"]
    connection.close()
    log = server.stop()
    assert [line["status"] for line in log] == [404, 404]
    assert {("subject" in line, line["requestId"]) for line in log} == {(False, "")}


@pytest.mark.parametrize("server", ["2"], indirect=True)
def test_sigterm_drains(server: Server) -> None:
    idle, busy, new = server.connect(), server.connect(), HTTPConnection("127.0.0.1", server.port)
    server.process.terminate()
    while get(new, "/healthz")[0] == 200:
        new.close()
    time.sleep(0.2)  # for the other worker
    for connection in (busy, new, idle):
        assert get(connection, "/todo/nobody")[:2] == (404, "close")
    assert get(new, "/healthz")[:2] == (503, "close")
    assert len(server.stop()) == 3


def test_fails_when_settings_are_missing_or_malformed_and_names_all() -> None:
    environ = {"PORT": "http", "ACCESS_LOG": "maybe"}
    result = subprocess.run(GUNICORN, cwd=FOLDER, env=environ, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "error: TABLE_NAME is missing, for example TABLE_NAME=todo",
        "error: AWS_REGION is missing, for example AWS_REGION=us-west-2",
        "error: ACCESS_LOG is 'maybe', for example ACCESS_LOG=off",
        "error: PORT is 'http', for example PORT=8080",
    ]


def sockets_of_each_worker(server: Server, clients: int) -> list[int]:
    """After so many clients connected at once."""
    with ExitStack() as kept:
        burst = [kept.enter_context(closing(HTTPConnection("127.0.0.1", server.port))) for _ in range(clients)]
        for client in burst:
            client.connect()
        for client in burst:
            assert get(client, "/healthz")[0] == 200
        links = [[str(fd.readlink()) for fd in Path(f"/proc/{worker}/fd").iterdir()] for worker in server.workers()]
    time.sleep(0.2)  # in which the workers close their sockets
    return [sum("socket" in link for link in each) for each in links]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_connections_are_spread_over_the_workers(server: Server) -> None:
    server.connect().close()
    bursts = [sockets_of_each_worker(server, 24) for _ in range(9)]
    # The second worker may start late; and where other programs have the CPUs, the right worker may wake too late.
    assert sum(abs(one - other) <= 2 for one, other in bursts) > 5, bursts


def test_health_checks_are_answered_while_dynamodb_is_silent() -> None:
    asked, refused = 40, 40 - 2 * MAX_CONCURRENT_CALLS
    with socket.create_server(("127.0.0.1", 0), backlog=asked) as silent, ExitStack() as stack:
        keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
        server = Server(AWS_ENDPOINT_URL_DYNAMODB=f"http://127.0.0.1:{silent.getsockname()[1]}", **keys)
        stack.callback(server.kill)
        pool = stack.enter_context(ThreadPoolExecutor(asked))
        check, *connections = [stack.enter_context(closing(server.connect())) for _ in range(1 + asked)]
        answers = [pool.submit(get, each, "/todo/00000000") for each in connections]
        assert {each.result()[0] for each in islice(as_completed(answers), refused)} == {503}
        assert get(check, "/healthz")[0] == 200
        # In milliseconds: a request that calls DynamoDB waits for three attempts.
        assert sum(line["durationMs"] < 3 * READ_TIMEOUT * 1000 for line in server.kill()) >= refused
