"""The todo service under its real gunicorn: what only the server can do or spoil. DynamoDB is not needed."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import FOLDER

GUNICORN = [str(Path(sys.executable).with_name("gunicorn")), "-c", "todo/gunicorn.conf.py"]
ENVIRON = {"TABLE_NAME": "todo", "AWS_REGION": "us-west-2", "HOST": "127.0.0.1", "HOME": "/nonexistent"}


class Server:
    """A running gunicorn; `lines` are its access log after it has ended."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def stop(self) -> list[dict[str, str]]:
        self.process.terminate()
        out, err = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, err
        return [json.loads(line) for line in out.splitlines()]


@contextmanager
def serving(**environ: str) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {**ENVIRON, "PORT": str(port), **environ}
    pipe = subprocess.PIPE
    with subprocess.Popen(GUNICORN, cwd=FOLDER, env=environ, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            server = Server(process, port)
            deadline = time.monotonic() + 15
            while ask(server.connect(), "/healthz", dead_is_0=True)[0] != 200:
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.05)
            yield server
        finally:
            process.kill()


def ask(
    connection: http.client.HTTPConnection, path: str, dead_is_0: bool = False, **headers: str
) -> tuple[int, dict[str, str], str]:
    try:
        connection.request("GET", path, headers=headers)
    except ConnectionRefusedError:
        if dead_is_0:
            return 0, {}, ""
        raise
    response = connection.getresponse()
    return response.status, dict(response.getheaders()), response.read().decode()
