"""Servers on free ports of 127.0.0.1: started, awaited, weighed and ended."""

import os
import shutil
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


OWN_CPU, OTHER_CPU = "0", "1"  # of what is measured alone; of the load and what else it takes


class Failed(Exception):
    """A process that did not do what it was started for."""


@dataclass(frozen=True)
class Server:
    url: str
    group: int  # of its processes
    cpu: str  # its only one, or empty

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


def inherited() -> dict[str, str]:
    """The environment without the caller's AWS settings and make's own variables, which are for nobody else."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MAKE", "MFLAGS"))}


def on(cpu: str) -> list[str]:
    """What to put before a command so that it has that CPU only; macOS cannot."""
    return ["taskset", "--cpu-list", cpu] if cpu and shutil.which("taskset") else []


@contextmanager
def serve(*command: str, ready: str = "/dogs", folder: str = ".", cpu: str = "", **environ: str) -> Iterator[Server]:
    """What answers at `ready` before it is used; {port} in `command` and `environ` is its free port."""
    port = free_port()
    words = [word.replace("{port}", port) for word in command]
    own = {"HOST": "127.0.0.1", "PORT": port, "DRAIN_SECONDS": "0"}
    own |= {name: value.replace("{port}", port) for name, value in environ.items()}
    # The log goes through a pipe to somebody who reads it, as that of a container or a unit does.
    log = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)
    process = subprocess.Popen(
        [*on(cpu), *words],
        cwd=ROOT / folder,
        env=inherited() | own,
        start_new_session=True,
        stdout=log.stdin,
        stderr=subprocess.STDOUT,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await_answer(process, url + ready)
        yield Server(url, process.pid, cpu)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        finally:
            with suppress(ProcessLookupError):  # nothing is left of it
                os.killpg(process.pid, signal.SIGKILL)
            log.communicate()


def await_answer(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return fetch(url)
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{process.args!r}: {error}; exit code {process.returncode}") from None
        time.sleep(0.05)
