"""`make doctor` names each fault of a real local run, and no other beside it."""

import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.processes import Part, Whole, whole_path
from tools import synth

sys.path.append(str(ROOT / "global-apigw"))  # last: the folder has tests of its own

# isort: split
from common.checks import CheckError

from tools import doctor

pytestmark = pytest.mark.slow
CATS = """
[services.cats]
endpoint_service = "CATS_SERVICE_NAME"
endpoint_port = 8080
listener_port = 8083
health_path = "/healthz"
timeout_seconds = 10
routes = [{ key = "GET /cats" }]
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with whole_path(tmp_path_factory.mktemp("whole")) as parts:
        yield parts


class Ask:
    """What the doctor says of a route; the ports of parts may be `moved`."""

    def __init__(self, whole: Whole, capsys: pytest.CaptureFixture[str]) -> None:
        self.whole, self.capsys = whole, capsys

    def __call__(self, route: str, status: int = 1, **moved: int) -> str:
        ports = {name: part.port for name, part in self.whole._asdict().items()} | moved
        ends = f"8081=127.0.0.1:{ports['dogs']} 8082=127.0.0.1:{ports['todo']}"
        environ = {"ENDPOINTS": ends, "DYNAMODB_PORT": str(ports["dynamodb"])}
        with pytest.raises(SystemExit) as end:
            doctor.main(f"http://127.0.0.1:{ports['api']}", route, environ)
        assert end.value.code == status
        said = self.capsys.readouterr().out
        assert said.count("broken  ") == status
        for name, port in ports.items():
            said = said.replace(str(port), name.upper())
        return said.splitlines()[-1]


@pytest.fixture
def ask(whole: Whole, capsys: pytest.CaptureFixture[str]) -> Ask:
    return Ask(whole, capsys)


def test_nothing_is_broken(ask: Ask) -> None:
    for route in ("", "GET /dogs", "GET /todo", "GET /todo/{todoId}"):
        assert ask(route, 0) == "nothing is broken"


def down(part: Part) -> Iterator[None]:
    part.end()
    try:
        yield
    finally:
        part.start()


STOPPED = {
    "api": ("GET /dogs", "nothing answers on port API; platform-team: start the API with make local"),
    "dogs": (
        "GET /dogs",
        "503: dog-names does not answer on port DOGS; dogs-team: start dog-names there (make local starts those of this repository); its own lines say why it ended",
    ),
    "todo": (
        "GET /todo",
        "503: todo does not answer on port TODO; todo-team: start todo there (make local starts those of this repository); its own lines say why it ended",
    ),
    "dynamodb": (
        "GET /todo",
        "503: DynamoDB does not answer on port DYNAMODB; todo-team: restart make local; its lines in .local/log say why it ended",
    ),
}


@pytest.mark.parametrize("name", STOPPED)
def test_a_part_that_has_ended_is_named(name: str, ask: Ask) -> None:
    route, said = STOPPED[name]
    for _ in down(getattr(ask.whole, name)):
        assert ask(route) == said


class Stranger(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(500)

    def do_POST(self) -> None:
        """DynamoDB without a table."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"TableNames": []}')

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def stranger() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_another_program_on_the_port_of_a_service_is_named(ask: Ask, stranger: int) -> None:
    said = "503: /healthz of todo on port TODO answers 500, expected 200; todo-team: look at its lines in .local/log; is it todo that has the port?"
    assert ask("GET /todo", todo=stranger) == said


def test_a_missing_table_is_named(ask: Ask, stranger: int) -> None:
    said = "503: the DynamoDB on port DYNAMODB has no table todo; todo-team: restart make local, which makes the table of the template"
    assert ask("GET /todo", dynamodb=stranger) == said


def test_a_route_that_the_running_api_does_not_have_is_named(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads(json.dumps(synth.local("global-apigw")).replace("GET /dogs/males", "GET /dogs/puppies"))
    monkeypatch.setattr(synth, "local", lambda folder: document)
    said = (
        "404: the running API has no route GET /dogs/puppies, and the template has; platform-team: restart make local"
    )
    assert ask("GET /dogs/puppies") == said


def test_a_throttle_of_nothing_is_named(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    document: Any = synth.local("global-apigw")
    [stage] = [each for each in document["Resources"].values() if each["Type"] == "AWS::ApiGatewayV2::Stage"]
    stage["Properties"]["DefaultRouteSettings"]["ThrottlingRateLimit"] = 0
    monkeypatch.setattr(synth, "local", lambda folder: document)
    said = "429: GET /dogs is throttled to 0 requests/s; platform-team: set its throttle in services.toml, then restart make local"
    assert ask("GET /dogs") == said


def test_a_service_that_is_not_of_this_repository_is_named(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    document, local = synth.synthesize("global-apigw", synth.registry() + CATS, CATS_SERVICE_NAME=""), synth.local
    monkeypatch.setattr(synth, "local", lambda folder: document if folder == "global-apigw" else local(folder))
    said = "503: cats does not answer on port 8083; the team of cats: start cats there (make local starts those of this repository); its own lines say why it ended"
    assert ask("GET /cats") == said


def test_an_api_that_answers_wrongly_is_named(ask: Ask, stranger: int) -> None:
    said = "500: GET /dogs answers 500, and every part is in order; platform-team: look at the lines of the API and of dog-names in .local/log"
    assert ask("GET /dogs", api=stranger) == said


def test_a_wrong_route_is_answered_with_the_routes(ask: Ask) -> None:
    with pytest.raises(CheckError, match=r"ROUTE is GET /x, expected one of .*, which are GET /dogs, GET"):
        doctor.main("http://127.0.0.1:1", "GET /x", {})
