"""Processes on free ports of 127.0.0.1: the parts of the whole path, which tests stop and start again, and `make local`."""

import os
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from tests.conftest import ROOT

BOUND_SECONDS = 60
PORTS = ("API_PORT", "DOGS_PORT", "TODO_PORT", "DYNAMODB_PORT", "DOCS_PORT")
T = TypeVar("T")


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Below the ports that systems give to outgoing connections: no connection takes it while its process is down."""
    while listens(port := random.randrange(20_000, 32_000)):
        pass
    return port


def free_ports() -> dict[str, str]:
    """A value for each variable that names a port of `make local`."""
    return {name: str(free_port()) for name in PORTS}


def wait_for(condition: Callable[[], T]) -> T:
    """The first true value of `condition`."""
    deadline = time.monotonic() + BOUND_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"still {value!r} after {BOUND_SECONDS} s"
        time.sleep(0.02)
    return value


class Server(Protocol):
    """A service, or the load balancer before it."""

    port: int


def connect(server: Server) -> closing[HTTPConnection]:
    return closing(HTTPConnection("127.0.0.1", server.port, timeout=BOUND_SECONDS))


class Part:
    """A group of processes that serves `port`, which {port} in the command stands for; `log` has their output."""

    def __init__(self, log: Path, folder: str, command: str, **environ: str) -> None:
        self.log, self.cwd, self.port = log, ROOT / folder, free_port()
        self.command = command.format(port=self.port).split()
        path = f"{self.cwd}/.venv/bin:{os.environ['PATH']}"
        self.environ = {"PATH": path, "HOST": "127.0.0.1", "PORT": str(self.port), **environ}

    def is_ready(self) -> bool:
        return listens(self.port)

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        return self.is_ready()

    def start(self) -> float:
        """The moment, by the monotonic clock, from which the port accepts."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.cwd, env=self.environ, stdout=log, stderr=log, process_group=0
            )
        wait_for(self.is_up)
        return time.monotonic()

    def send(self, number: signal.Signals) -> None:
        """To all its processes."""
        os.killpg(self.process.pid, number)

    def end(self) -> None:
        """Leaves no process, as systemd (KillMode=mixed) and a container do when the first process is killed."""
        with suppress(ProcessLookupError):
            self.send(signal.SIGKILL)
        self.process.wait(BOUND_SECONDS)


class LocalRun(Part):
    """`make local` in a checkout; it is ready when it says so."""

    def __init__(self, log: Path, root: Path = ROOT, **environ: str) -> None:
        self.ports = free_ports()
        super().__init__(log, str(root), "make local", **{**os.environ, **self.ports, **environ})
        self.url = f"http://127.0.0.1:{self.ports['API_PORT']}"

    def is_ready(self) -> bool:
        return "ready after" in self.log.read_text()

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(BOUND_SECONDS)


@contextmanager
def running(*parts: Part) -> Iterator[None]:
    with ExitStack() as stack:  # ends all, also if one of them never started
        for part in parts:
            stack.callback(part.end)
            part.start()
        yield


def dogs(folder: Path) -> Part:
    return Part(folder / "dogs.log", "ecs-provider", ".local/dog-names")


def todo(folder: Path, dynamodb: Part) -> Part:
    aws = {"AWS_REGION": "us-west-2", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    aws |= {"TABLE_NAME": "todo", "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{dynamodb.port}"}
    return Part(folder / "todo.log", "ec2-provider", "gunicorn --config todo/gunicorn.conf.py", **aws)


def api(folder: Path, dogs: Server, todo: Server, *, throttled: bool = False) -> Part:
    """Envoy with the translation of the local template. Either nothing is throttled, or a route's burst is never refilled."""
    config = folder / f"envoy-{free_port()}.json"
    part = Part(folder / "api.log", "global-apigw", f"envoy -c {config} --disable-hot-restart -l warning")
    ends = f"ENDPOINTS=8081=127.0.0.1:{dogs.port} 8082=127.0.0.1:{todo.port}"
    translate = [
        "make",
        "--silent",
        "run",
        "ENVOY=true",
        f"API_PORT={part.port}",
        ends,
    ]  # true takes Envoy's place, and ends
    subprocess.run(translate, cwd=part.cwd, check=True, stdout=subprocess.DEVNULL)
    text = (part.cwd / ".local/envoy.json").read_text()
    text = re.sub(r'"fill_interval": "[^"]+"', f'"fill_interval": "{3600 if throttled else 1}s"', text)
    if not throttled:
        text = re.sub(r'"(max_tokens|tokens_per_fill)": \d+', r'"\1": 100000', text)
    config.write_text(text)
    return part


class Whole(NamedTuple):
    """The whole path, one instance of each service; unlike that of `make local`, DynamoDB survives `kill -9`."""

    dynamodb: Part
    dogs: Part
    todo: Part
    api: Part


@contextmanager
def whole_path(folder: Path) -> Iterator[Whole]:
    table = ".local/cdk.out/ec2-provider.template.json {port}"
    command = f"python -m tests.durable_dynamodb {table} {folder / 'journal'}"
    dynamodb = Part(folder / "dynamodb.log", "ec2-provider", command)
    first, second = dogs(folder), todo(folder, dynamodb)
    whole = Whole(dynamodb, first, second, api(folder, first, second))
    with running(*whole):
        yield whole
