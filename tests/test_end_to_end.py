"""`make local` with the real processes on free ports, and `make smoke` as its client."""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.conftest import ROOT, checkout, copy_sources
from tests.processes import (
    BOUND_SECONDS,
    PORTS,
    LocalRun,
    Part,
    api,
    connect,
    free_port,
    free_ports,
    listens,
    running,
    wait_for,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRun]:
    with running(run := LocalRun(tmp_path_factory.mktemp("local") / "log")):
        yield run


def make(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = ["make", "--silent", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=cwd, env={**os.environ, **free_ports()}, capture_output=True, text=True)


def test_smoke_goes_through_every_route(run: LocalRun) -> None:
    done = make("smoke", f"URL={run.url}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^\$ curl -i .*", done.stdout, re.MULTILINE)) == 6
    assert done.stdout.endswith("every route answered as it should\n")


def test_a_start_prints_no_error_and_no_warning(run: LocalRun) -> None:
    started, ready, _ = run.log.read_text().partition("ready after")
    assert ready and not re.findall(r".*(?:\berror\b|\bwarning\b|Traceback).*", started, re.IGNORECASE)


def test_a_request_can_be_followed_from_the_api_to_its_service(run: LocalRun) -> None:
    answer = subprocess.check_output(["curl", "-si", f"{run.url}/todo"], text=True)
    [request_id] = re.findall(r"apigw-requestid: (\S+)", answer)
    wait_for(lambda: {*re.findall(rf"(\S+) *\| .*{request_id}", run.log.read_text())} == {"api.1", "todo.1"})
    done = make("follow", f"REQUEST={request_id}", f"URL={run.url}")
    assert done.returncode == 0, done.stderr
    head, *rows = [line.split() for line in done.stdout.splitlines()]
    assert [*head[:5], {row[1] for row in rows}, {row[3] for row in rows}] == [
        "time", "where", "account", "status", "ms", {"api", "todo"}, {"200"},
    ]  # fmt: skip
    assert sorted(row[0] for row in rows) == [row[0] for row in rows]


def test_the_doctor_and_a_wrong_request_are_answered_for_the_local_run(run: LocalRun) -> None:
    ends = f"ENDPOINTS=8081=127.0.0.1:{run.ports['DOGS_PORT']} 8082=127.0.0.1:{run.ports['TODO_PORT']}"
    done = make("doctor", f"URL={run.url}", ends, f"DYNAMODB_PORT={run.ports['DYNAMODB_PORT']}")
    assert done.stdout.splitlines()[-1] == "nothing is broken", done.stdout + done.stderr
    done = make("follow", "REQUEST=unknown-request", f"URL={run.url}")
    assert done.stderr.startswith(
        "error: no line has unknown-request; looked in .local/log, which the last make local wrote"
    )
    done = make("follow", "REQUEST=", f"URL={run.url}")
    assert done.stderr.startswith("error: REQUEST is empty, expected the value of an answer's header apigw-requestid")
    assert done.returncode == 2


def test_the_readme_shows_what_curl_prints(run: LocalRun) -> None:
    [console] = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    shown = re.findall(r"^\$ (curl .*)\n(.*)$", console, re.MULTILINE)
    assert len(shown) == 2
    random = re.compile(r'"(name|id)": ?"\w+"')
    for command, expected in shown:
        words = shlex.split(command.replace(":8080/", f":{run.ports['API_PORT']}/"))
        answer = subprocess.check_output([*words, "-sS"], text=True)
        assert random.sub("", answer.rstrip("\n")) == random.sub("", expected)


@pytest.mark.parametrize("name", PORTS)
def test_fails_when_a_port_is_busy_and_names_port_and_variable(run: LocalRun, name: str) -> None:
    done = make("local", f"{name}={run.ports[name]}")
    assert done.returncode == 2
    assert f"error: port {run.ports[name]} is already in use" in done.stderr
    assert f"{name}=<port>" in done.stderr


def test_fails_when_two_parts_have_the_same_port() -> None:
    done = make("local", "API_PORT=8081", "DOGS_PORT=8081")
    assert done.returncode == 2
    assert "two parts have the same port: 8081 8081 " in done.stderr


@pytest.mark.parametrize("value", ["word", "", "0", "99999"])
def test_fails_when_a_port_is_none_and_names_variable_and_value(value: str) -> None:
    done = make("local", f"TODO_PORT={value}")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: TODO_PORT is {value!r}, expected a port from 1 to 65535\n")


def test_fails_when_the_registry_is_not_there_and_names_it(tmp_path: Path) -> None:
    # In a copy: the local template of the tree must not have other settings afterwards.
    done = make("local", "SERVICES=nowhere.toml", cwd=checkout(tmp_path))
    assert done.returncode == 2
    assert "error: SERVICES is 'nowhere.toml', expected the path of a registry" in done.stderr


@pytest.mark.parametrize("folder", [".", "ecs-provider"])
def test_fails_when_the_path_has_a_space(tmp_path: Path, folder: str) -> None:
    for name in ("Makefile", "ecs-provider"):
        copy_sources(name, tmp_path / "with space")
    done = make("test", cwd=tmp_path / "with space" / folder)
    assert done.returncode == 2
    assert "has a space, which make cannot handle; move the checkout to a path without one" in done.stderr


def test_fails_when_nothing_listens_and_smoke_names_the_url() -> None:
    done = make("smoke", f"URL=http://127.0.0.1:{free_port()}")
    assert done.returncode == 2
    assert re.search(r"^error: \S+/dogs: no answer: curl: \(7\)", done.stderr, re.MULTILINE)


def started(run: LocalRun) -> dict[str, int]:
    """The process ids of the parts, by name."""
    return {name: int(pid) for name, pid in re.findall(r"(\S+) started \(pid=(\d+)\)", run.log.read_text())}


def is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


CATS = """
[services.cats]
endpoint_service = "CATS_SERVICE_NAME"
endpoint_port = 8080
listener_port = {port}
health_path = "/healthz"
timeout_seconds = 10
routes = [{{ key = "GET /cats" }}, {{ key = "GET /cats/{{catId}}" }}]
"""


class Cats(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "4")
        self.end_headers()
        self.wfile.write(b"Tom\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.slow
def test_a_team_joins_with_an_entry_alone(tmp_path: Path) -> None:
    root, port = checkout(tmp_path / "checkout"), free_port()
    with (root / "global-apigw/services.toml").open("a") as registry:
        registry.write(CATS.format(port=port))
    with running(run := LocalRun(tmp_path / "log", root)):
        not_running = f"cats is not running at 127.0.0.1:{port}: its routes answer 503 until it does"
        wait_for(lambda: not_running in run.log.read_text())
        failed = make("smoke", f"URL={run.url}", cwd=root)
        assert f"error: {run.url}/cats: expected 200, got 'HTTP/1.1 503 Service Unavailable" in failed.stderr
        with ThreadingHTTPServer(("127.0.0.1", port), Cats) as cats:
            Thread(target=cats.serve_forever, daemon=True).start()
            done = make("smoke", f"URL={run.url}", cwd=root)
            cats.shutdown()
    assert f"$ curl -i {run.url}/cats\n" in done.stdout and "\nTom\n" in done.stdout
    assert done.stdout.endswith("every route answered as it should\n")


# File, line, changed line, by CONTRIBUTING.md.
COPY = re.findall(r"^\| `(.+?)` \| `(.+?)` \| `(.+?)` \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)


def test_a_copy_of_a_provider_needs_ten_lines_at_most_in_four_files() -> None:
    assert 0 < len(COPY) <= 10
    assert len({file for file, _, _ in COPY}) <= 4


@pytest.mark.slow
def test_a_copy_of_a_provider_passes_its_tests_and_serves(tmp_path: Path) -> None:
    copy_sources("ecs-provider", tmp_path)
    place = (tmp_path / "ecs-provider").rename(tmp_path / "cat-provider")
    for file, original, changed in COPY:
        text = (place / file).read_text()
        assert text.count(f"{original}\n") == 1, original
        (place / file).write_text(text.replace(original, changed))
    environ = {name: value for name, value in os.environ.items() if name != "UV"}
    done = subprocess.run(["make", "--silent", "test"], cwd=place, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    cats = Part(tmp_path / "log", str(place), ".local/cat-names")
    with running(cats), running(way := api(tmp_path, cats, cats)), connect(way) as client:
        client.request("GET", "/dogs")
        assert client.getresponse().status == 200


@pytest.mark.slow
def test_a_part_that_dies_ends_the_run_and_is_named(tmp_path: Path) -> None:
    with running(run := LocalRun(tmp_path / "log")):
        os.killpg(started(run)["dog-names.1"], signal.SIGKILL)
        assert run.process.wait(BOUND_SECONDS) != 0
    assert re.search(r"dog-names.1 stopped \(rc=-?\d+\)", run.log.read_text())
    assert not any(map(listens, map(int, run.ports.values())))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_no_process_behind(tmp_path: Path, number: signal.Signals) -> None:
    with running(run := LocalRun(tmp_path / "log")):
        run.send(number)  # as a terminal does for Ctrl-C: to the whole foreground group
        run.process.wait(BOUND_SECONDS)
    groups = started(run).values()
    assert len(groups) == 6
    wait_for(lambda: not any(map(is_alive, groups)))
    assert not any(map(listens, map(int, run.ports.values())))
