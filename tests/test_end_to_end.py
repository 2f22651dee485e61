"""`make local` with the real processes on free ports, and `make smoke` as its client."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.conftest import ROOT, copy_sources
from tests.local_run import BOUND_SECONDS, PORTS, free_ports, is_alive, listens, local_run


@pytest.fixture(scope="module")
def ports() -> dict[str, str]:
    return free_ports()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("local") / "log"


@pytest.fixture(scope="module")
def running(log: Path, ports: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with local_run(log, ports) as process:
        yield process


def smoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--silent", "--no-print-directory", "smoke", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_smoke_goes_through_every_route(running: subprocess.Popen[bytes], ports: dict[str, str]) -> None:
    done = smoke(f"URL=http://127.0.0.1:{ports['API_PORT']}")
    assert done.returncode == 0, done.stdout + done.stderr
    shown = re.findall(r"^\$ curl -i .*", done.stdout, re.MULTILINE)
    assert len(shown) == 6
    assert done.stdout.endswith("every route answered as it should\n")


def test_a_start_prints_no_error_and_no_warning(running: subprocess.Popen[bytes], log: Path) -> None:
    started, ready, _ = log.read_text().partition("ready after")
    assert ready and not re.findall(r".*(?:\berror\b|\bwarning\b|Traceback).*", started, re.IGNORECASE)


def test_todo_is_asked_only_when_its_dynamodb_listens() -> None:
    asked: list[float] = []

    class Todo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(time.monotonic())
            self.send_response(200)
            self.end_headers()

    ready = [sys.executable, str(ROOT / "tools/ready.py")]
    with ThreadingHTTPServer(("127.0.0.1", 0), Todo) as todo:
        Thread(target=todo.serve_forever, daemon=True).start()
        others = {**free_ports(), "TODO_PORT": str(todo.server_port)}
        with subprocess.Popen(ready, env={**os.environ, **others}) as process:
            time.sleep(2)
            opened = time.monotonic()
            with socket.create_server(("127.0.0.1", int(others["DYNAMODB_PORT"]))):
                while not asked:
                    assert time.monotonic() < opened + BOUND_SECONDS
                    time.sleep(0.1)
            process.kill()
        todo.shutdown()
    assert asked[0] > opened


def test_a_request_can_be_followed_from_the_api_to_its_service(
    running: subprocess.Popen[bytes], ports: dict[str, str], log: Path
) -> None:
    answer = subprocess.check_output(
        ["curl", "-si", f"http://127.0.0.1:{ports['API_PORT']}/todo"], text=True, timeout=30
    )
    request_id = re.search(r"apigw-requestid: (\S+)", answer)
    assert request_id
    deadline = time.monotonic() + BOUND_SECONDS
    while len(parts := set(re.findall(rf"(\S+) *\| .*{request_id.group(1)}", log.read_text()))) < 2:
        assert time.monotonic() < deadline, parts
        time.sleep(0.1)
    assert parts == {"api.1", "todo.1"}


def test_fails_when_a_port_is_busy_and_names_port_and_variable(
    running: subprocess.Popen[bytes], ports: dict[str, str]
) -> None:
    for name in PORTS:
        others = {**free_ports(), name: ports[name]}
        done = subprocess.run(
            ["make", "local"], cwd=ROOT, env={**os.environ, **others}, capture_output=True, text=True, timeout=60
        )
        assert done.returncode != 0
        assert f"error: port {ports[name]} is already in use" in done.stderr
        assert f"{name}=<port>" in done.stderr


@pytest.mark.parametrize("value", ["word", "", "0", "99999"])
@pytest.mark.parametrize("name", PORTS)
def test_fails_when_a_port_is_none_and_names_variable_and_value(name: str, value: str) -> None:
    done = subprocess.run(
        ["make", "local"], cwd=ROOT, env={**os.environ, **free_ports(), name: value}, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {name} is {value!r}, expected a port from 1 to 65535\n")


def test_fails_when_the_registry_is_not_there_and_names_it() -> None:
    done = subprocess.run(["make", "local", "SERVICES=nowhere.toml"], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, **free_ports()})  # fmt: skip
    assert done.returncode == 2
    assert "error: SERVICES is 'nowhere.toml', expected the path of a registry" in done.stderr


def test_fails_when_the_path_has_a_space(tmp_path: Path) -> None:
    for name in ("Makefile", "ecs-provider"):
        copy_sources(name, tmp_path / "with space")
    for arguments in (["local"], ["-C", "ecs-provider", "test"]):
        done = subprocess.run(["make", *arguments], cwd=tmp_path / "with space", capture_output=True, text=True)
        assert done.returncode == 2
        assert "has a space, which make cannot handle; move the checkout to a path without one" in done.stderr


def test_fails_when_nothing_listens_and_smoke_names_the_url() -> None:
    url = f"http://127.0.0.1:{free_ports()['API_PORT']}"
    done = smoke(f"URL={url}")
    assert done.returncode != 0
    assert f"error: {url}/dogs: no answer: curl: (7)" in done.stderr


@pytest.mark.slow
def test_a_part_that_dies_ends_the_run_and_is_named(tmp_path: Path) -> None:
    ports, log = free_ports(), tmp_path / "log"
    with local_run(log, ports) as process:
        started = re.search(r"dog-names.1 started \(pid=(\d+)\)", log.read_text())
        assert started
        os.killpg(int(started.group(1)), signal.SIGKILL)
        process.wait(BOUND_SECONDS)
    assert process.returncode != 0
    assert re.search(r"dog-names.1 stopped \(rc=-?\d+\)", log.read_text())
    assert not any(listens(port) for port in ports.values())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_no_process_behind(tmp_path: Path, number: signal.Signals) -> None:
    ports, log = free_ports(), tmp_path / "log"
    with local_run(log, ports) as process:
        started = [int(pid) for pid in re.findall(r"started \(pid=(\d+)\)", log.read_text())]
        # As a terminal does for Ctrl-C: the signal goes to the whole foreground group.
        os.killpg(process.pid, number)
        process.wait(BOUND_SECONDS)
    assert len(started) == 5
    deadline = time.monotonic() + BOUND_SECONDS
    while left := [group for group in started if is_alive(group)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    assert not any(listens(port) for port in ports.values())


def test_the_readme_shows_what_curl_prints(running: subprocess.Popen[bytes], ports: dict[str, str]) -> None:
    [console] = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    shown = re.findall(r"^\$ (curl .*)\n(.*)$", console, re.MULTILINE)
    assert len(shown) == 2
    for command, expected in shown:
        words = shlex.split(command.replace(":8080/", f":{ports['API_PORT']}/"))
        answer = subprocess.check_output([*words, "-sS"], text=True, timeout=30)
        # Names and ids are random; all else is as printed.
        assert re.sub(r'"(name|id)": ?"\w+"', "", answer.rstrip("\n")) == re.sub(r'"(name|id)": ?"\w+"', "", expected)
