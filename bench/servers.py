"""Servers on free ports of 127.0.0.1: started, awaited, weighed and ended."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
START_SECONDS, STOP_SECONDS = 60, 30


class Failed(Exception):
    """A process that did not do what it was started for."""


@dataclass(frozen=True)
class Server:
    url: str
    group: int  # of its processes

    def resident_mb(self) -> float:
        """The memory of all its processes; pages that they share count for each."""
        lines = subprocess.check_output(["ps", "-A", "-o", "pgid=,rss="], text=True).splitlines()
        return sum(int(rss) for pgid, rss in map(str.split, lines) if int(pgid) == self.group) / 1024


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def fetch(url: str) -> None:
    """Raises OSError without an answer, or when that is an error."""
    urllib.request.urlopen(url, timeout=10).close()


@contextmanager
def serve(*command: str, ready: str = "/dogs", folder: str = ".", **environ: str) -> Iterator[Server]:
    """What answers at `ready` before it is used; {port} in `command` and `environ` is its free port."""
    port = free_port()
    words = [word.replace("{port}", port) for word in command]
    # Neither the caller's AWS settings nor make's own variables are for it.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MAKE"))}
    own = {"HOST": "127.0.0.1", "PORT": port, "DRAIN_SECONDS": "0"}
    own |= {name: value.replace("{port}", port) for name, value in environ.items()}
    with open(os.devnull, "w") as nowhere:
        process = subprocess.Popen(
            words,
            cwd=ROOT / folder,
            env=inherited | own,
            start_new_session=True,
            stdout=nowhere,
            stderr=nowhere,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        await_answer(process, url + ready)
        yield Server(url, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        finally:
            with suppress(ProcessLookupError):  # nothing is left of it
                os.killpg(process.pid, signal.SIGKILL)


def await_answer(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return fetch(url)
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{process.args!r}: {error}; exit code {process.returncode}") from None
        time.sleep(0.05)
