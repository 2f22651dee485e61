"""`make local` on free ports, as the end-to-end tests start and stop it."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.conftest import ROOT

PORTS = ("API_PORT", "DOGS_PORT", "TODO_PORT", "DYNAMODB_PORT")
BOUND_SECONDS = 60


def free_ports() -> dict[str, str]:
    sockets = [socket.socket() for _ in PORTS]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = {name: str(each.getsockname()[1]) for name, each in zip(PORTS, sockets, strict=True)}
    for each in sockets:
        each.close()
    return ports


def listens(port: str) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", int(port))) == 0


def is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def local_run(log: Path, ports: dict[str, str], **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """`make local` until it says that it is ready; SIGTERM at the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "local"],
            cwd=ROOT,
            env={**os.environ, **ports, **environ},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + BOUND_SECONDS
        while "ready after" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.1)
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait(BOUND_SECONDS)
        if environ:  # the next test finds the template of the usual settings
            subprocess.run(["make", "--silent", "-C", "global-apigw", "build"], cwd=ROOT, check=True)
