"""The local run with examples/secured.toml: who may do what, and whom the real services take a client for."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.local_run import BOUND_SECONDS, free_ports, local_run

pytestmark = pytest.mark.slow
REGISTRY = "examples/secured.toml"
SCOPES = "todo.read todo.write"
# In any letter case, repeated, and as WSGI and CGI would fold it.
SPOOFED = [
    argument
    for name in (
        "x-auth-subject",
        "X-Auth-Subject",
        "X-AUTH-SUBJECT",
        "x_auth_subject",
        "X_Auth_Subject",
        "x-auth_subject",
    )
    for argument in ("-H", f"{name}: eve")
]


class Run:
    """The API's URL, and what the services logged."""

    def __init__(self, url: str, log: Path) -> None:
        self.url, self.log = url, log

    def ask(self, path: str, *arguments: str, token: str = "") -> tuple[int, str]:
        """(status, request id)."""
        bearer = ["-H", f"Authorization: Bearer {token}"] if token else []
        answer = subprocess.check_output(["curl", "-sSi", *bearer, *arguments, self.url + path], text=True, timeout=30)
        request_id = re.search(r"apigw-requestid: (\S+)", answer)
        assert request_id, answer
        return int(answer.split()[1]), request_id.group(1)

    def logged(self, part: str, request_id: str) -> dict[str, object]:
        """The line that `part` wrote about a request."""
        deadline = time.monotonic() + BOUND_SECONDS
        while True:
            for line in self.log.read_text().splitlines():
                if f"{part}.1" in line and request_id in line:
                    fields: dict[str, object] = json.loads(line.partition("| ")[2])
                    return fields
            assert time.monotonic() < deadline, f"{part} logged nothing of {request_id}"
            time.sleep(0.1)


def token(scope: str) -> str:
    command = ["make", "--silent", "token", f"SERVICES={REGISTRY}", f"SCOPE={scope}"]
    return subprocess.check_output(command, cwd=ROOT, text=True).strip()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    ports, log = free_ports(), tmp_path_factory.mktemp("secured") / "log"
    with local_run(log, ports, SERVICES=REGISTRY):
        yield Run(f"http://127.0.0.1:{ports['API_PORT']}", log)


def test_an_open_route_needs_no_token(run: Run) -> None:
    assert run.ask("/dogs")[0] == 200


@pytest.mark.parametrize("path", ["/dogs/females", "/todo", "/todo/00000000"])
def test_a_route_that_asks_for_a_token_is_closed_without_one(run: Run, path: str) -> None:
    assert run.ask(path)[0] == 401


def test_reading_needs_a_scope_and_writing_another(run: Run) -> None:
    reader, write = token("todo.read"), ("-d", "data=x")
    assert [run.ask("/todo", token=reader)[0], run.ask("/todo", *write, token=reader)[0]] == [200, 403]
    assert run.ask("/todo", *write, token=token("todo.write"))[0] == 201


def test_smoke_takes_a_token(run: Run) -> None:
    command = ["make", "--silent", "smoke", f"URL={run.url}", f"TOKEN={token(SCOPES)}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Bearer" not in done.stdout


@pytest.mark.parametrize(("path", "part"), [("/dogs/females", "dog-names"), ("/todo", "todo")])
def test_a_service_sees_the_verified_subject_whatever_the_client_says(run: Run, path: str, part: str) -> None:
    status, request_id = run.ask(path, *SPOOFED, token=token(SCOPES))
    assert status == 200
    assert run.logged(part, request_id)["subject"] == "local-user"


def test_a_service_sees_no_subject_on_an_open_route(run: Run) -> None:
    status, request_id = run.ask("/dogs", *SPOOFED)
    assert status == 200
    assert "subject" not in run.logged("dog-names", request_id)


def test_a_client_cannot_choose_its_request_id(run: Run) -> None:
    status, request_id = run.ask("/dogs", "-H", "X-Request-Id: eve", "-H", "x_request_id: eve")
    assert status == 200
    assert run.logged("dog-names", request_id)["requestId"] == request_id != "eve"
