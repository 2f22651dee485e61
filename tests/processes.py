"""Each part of the whole path as processes of its own on a port of its own, to be stopped and started again."""

import os
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from tests.conftest import ROOT

BOUND_SECONDS = 30


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Below those that systems give to outgoing connections: none takes it while its part is down."""
    while listens(port := random.randrange(20_000, 32_000)):
        pass
    return port


class Part:
    """A group of processes that serves `port`, which {port} in the command stands for; `log` has what they print."""

    def __init__(self, log: Path, folder: str, command: str, **environ: str) -> None:
        self.log, self.cwd, self.port = log, ROOT / folder, free_port()
        self.command = command.format(port=self.port).split()
        path = f"{self.cwd}/.venv/bin:{os.environ['PATH']}"
        self.environ = {"PATH": path, "HOST": "127.0.0.1", "PORT": str(self.port), **environ}

    def start(self) -> float:
        """The moment, by the monotonic clock, from which the port accepts."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.cwd, env=self.environ, stdout=log, stderr=log, process_group=0
            )
        deadline = time.monotonic() + BOUND_SECONDS
        while not listens(self.port):
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()[-2000:]
            time.sleep(0.01)
        return time.monotonic()

    def send(self, number: signal.Signals) -> None:
        """To all its processes."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """Leaves none, as systemd (KillMode=mixed) and a container do when the first process is killed."""
        with suppress(ProcessLookupError):
            self.send(signal.SIGKILL)
        self.process.wait(BOUND_SECONDS)


@contextmanager
def running(*parts: Part) -> Iterator[None]:
    started = []
    try:
        for part in parts:
            part.start()
            started.append(part)
        yield
    finally:
        for part in reversed(started):
            part.kill()


def dogs(folder: Path) -> Part:
    return Part(folder / "dogs.log", "ecs-provider", ".local/dog-names")


def todo(folder: Path, dynamodb: Part) -> Part:
    aws = {"AWS_REGION": "us-west-2", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    aws |= {"TABLE_NAME": "todo", "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{dynamodb.port}"}
    return Part(folder / "todo.log", "ec2-provider", "gunicorn --config todo/gunicorn.conf.py", **aws)


class Server(Protocol):
    """What listens on a port."""

    port: int


def api(folder: Path, dogs: Server, todo: Server, *, throttled: bool = False) -> Part:
    """Envoy with the translation of the local template, its throttles lifted; `throttled` leaves the bursts, and no more."""
    config = folder / f"envoy-{free_port()}.json"
    part = Part(folder / "api.log", "global-apigw", f"envoy -c {config} --disable-hot-restart -l warning")
    ports = [f"API_PORT={part.port}", f"DOGS_PORT={dogs.port}", f"TODO_PORT={todo.port}"]
    translate = ["make", "--silent", "run", "ENVOY=true", *ports]  # true takes Envoy's place, and ends
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
