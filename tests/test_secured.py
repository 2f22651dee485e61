"""The local run with examples/secured.toml: who may do what, and which subject the real services see."""

import json
import re
import subprocess
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest

from tests.conftest import checkout
from tests.processes import LocalRun, running, wait_for

pytestmark = pytest.mark.slow
REGISTRY = "examples/secured.toml"
READ, WRITE = "todo.read", "todo.write"
# In any letter case, repeated, and with the underscores that WSGI and CGI take for hyphens.
NAMES = ("x-auth-subject", "X-Auth-Subject", "X-AUTH-SUBJECT", "x_auth_subject", "X_Auth_Subject", "x-auth_subject")
SPOOFED = [*chain(*(("-H", f"{name}: eve") for name in NAMES))]


class SecuredRun(LocalRun):
    def make(self, *arguments: str) -> str:
        return subprocess.check_output(["make", "--silent", *arguments], cwd=self.cwd, text=True).strip()

    def token(self, scope: str) -> str:
        return self.make("token", f"SERVICES={REGISTRY}", f"SCOPE={scope}")

    def ask(self, path: str, *arguments: str, scope: str = "") -> tuple[int, str]:
        """(status, request id)."""
        bearer = ["-H", f"Authorization: Bearer {self.token(scope)}"] if scope else []
        answer = subprocess.check_output(["curl", "-sSi", *bearer, *arguments, self.url + path], text=True)
        [request_id] = re.findall(r"apigw-requestid: (\S+)", answer)
        return int(answer.split()[1]), request_id

    def logged(self, part: str, request_id: str) -> dict[str, Any]:
        """The line that `part` wrote about a request."""
        line = rf"{part}\.1 *\| (.*{request_id}.*)"
        return dict(json.loads(wait_for(lambda: re.findall(line, self.log.read_text()))[0]))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredRun]:
    # A checkout of its own: other tests read the templates of the usual registry meanwhile.
    place = tmp_path_factory.mktemp("secured")
    with running(run := SecuredRun(place / "log", checkout(place / "checkout"), SERVICES=REGISTRY)):
        yield run


@pytest.mark.parametrize(
    ("status", "path", "data", "scope"),
    [
        (200, "/dogs", "", ""),
        (401, "/dogs/females", "", ""),
        (401, "/todo", "", ""),
        (401, "/todo/00000000", "", ""),
        (200, "/todo", "", READ),
        (403, "/todo", "data=x", READ),
        (201, "/todo", "data=x", WRITE),
    ],
)
def test_a_route_wants_its_own_scope(run: SecuredRun, status: int, path: str, data: str, scope: str) -> None:
    assert run.ask(path, *(["-d", data] if data else []), scope=scope)[0] == status


def test_smoke_takes_a_token_and_does_not_show_it(run: SecuredRun) -> None:
    shown = run.make("smoke", f"URL={run.url}", f"TOKEN={run.token(f'{READ} {WRITE}')}")
    assert shown.endswith("every route answered as it should")
    assert "Bearer" not in shown


def test_the_local_api_conforms_and_a_service_without_the_api_does_not(run: SecuredRun) -> None:
    def conformance(port: str) -> tuple[int, str]:
        variables = f"SERVICES={REGISTRY}", f"TOKEN={run.token(READ)}", f"URL=http://127.0.0.1:{run.ports[port]}"
        command = ["make", "--silent", "conformance", *variables]
        done = subprocess.run(command, cwd=run.cwd, capture_output=True, text=True)
        return done.returncode, done.stdout

    code, shown = conformance("API_PORT")
    assert (code, shown.count("\ndocumented  "), shown.count("\n| ")) == (0, 12, 5), shown
    assert "4 assumed, 0 differs" in shown and "| two Authorization headers | as assumed |" in shown
    code, shown = conformance("DOGS_PORT")
    assert code == 2
    assert "differs     a known path with another method is a 404, not a 405: answer.status is '405', expected" in shown


@pytest.mark.parametrize(
    ("path", "part", "subject"),
    [("/dogs", "dog-names", None), ("/dogs/females", "dog-names", "local-user"), ("/todo", "todo", "local-user")],
)
def test_a_service_sees_the_verified_subject_and_no_other(
    run: SecuredRun, path: str, part: str, subject: str | None
) -> None:
    status, request_id = run.ask(path, *SPOOFED, scope=READ if subject else "")
    assert status == 200
    assert run.logged(part, request_id).get("subject") == subject


def test_a_client_cannot_choose_its_request_id(run: SecuredRun) -> None:
    status, request_id = run.ask("/dogs", "-H", "X-Request-Id: eve", "-H", "x_request_id: eve")
    assert status == 200
    assert run.logged("dog-names", request_id)["requestId"] == request_id != "eve"
