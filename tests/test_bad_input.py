"""Generated and provoked requests against both contracts, on the services and through the API."""

import json
import subprocess
import sys
from base64 import b64decode
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis.checks import not_a_server_error

from tests import processes
from tests.conftest import ROOT
from tests.processes import Part, connect, running, whole_path

CONTRACTS = {"dog-names": ROOT / "ecs-provider/openapi.yaml", "todo": ROOT / "ec2-provider/openapi.yaml"}
# By their label, such as "GET /dogs".
OPERATIONS: dict[str, dict[str, Any]] = {
    name: {each.label: each for path in contract for each in map(contract[path].__getitem__, contract[path])}
    for name, contract in zip(CONTRACTS, map(schemathesis.openapi.from_path, CONTRACTS.values()), strict=True)
}
HEALTH, OTHER = "GET /healthz", "another method"
# The gateway's own answers; global-apigw/tests/parity.yaml has the requests that get them.
GATEWAY = {404: "Not Found", 413: "Request Entity Too Large", 429: "Too Many Requests", 503: "Service Unavailable"}
MEGABYTES_10 = 10 * 1024 * 1024


def new(size: int = 1) -> dict[str, Any]:
    return {"media_type": "application/json", "body": {"data": "x" * size}}


class Seen(Counter[tuple[str, str, int]]):
    """Counts (who answered, operation, status). A service that answers through the API is counted as "API"."""

    def note(self, asked: str, label: str, status: int, body: bytes) -> str:
        own = json.dumps({"message": GATEWAY.get(status)}, separators=(",", ":")).encode()
        answered = "gateway" if asked == "API" and body == own else asked
        self[answered, label, status] += 1
        return answered

    def generate(self, name: str, asked: str, part: Part, report: Path) -> None:
        """Schemathesis fails on a 5xx, on an answer that the contract does not document, on a wrong acceptance or refusal."""
        program, config = Path(sys.executable).with_name("schemathesis"), ROOT / "tests/schemathesis.toml"
        command = f"{program} --config-file {config} run {CONTRACTS[name]} --url http://127.0.0.1:{part.port}".split()
        command += ["--report=ndjson", f"--report-ndjson-path={report}"]
        if asked == "API":  # it answers 404, not 405, to other methods
            command += ["--exclude-by=/x-internal == true", "--exclude-checks=unsupported_method"]
        done = subprocess.run(command, cwd=report.parent, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr
        for line in report.read_text().splitlines():
            recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
            for case, interaction in recorder.get("interactions", {}).items():
                sent, response = recorder["cases"][case]["value"], interaction["response"]
                label, body = f"{sent['method']} {sent['path']}", b64decode(response["content"]["$base64"])
                declared = label in OPERATIONS[name]
                answered = self.note(asked, label if declared else OTHER, response["status_code"], body)
                assert declared or asked != "API" or answered == "gateway", interaction

    def ask(self, name: str, asked: str, part: Part, label: str, **sent: Any) -> int:
        """The status of an answer that is the gateway's own or follows the contract."""
        case = OPERATIONS[name][label].Case(**sent)
        response = case.call(base_url=f"http://127.0.0.1:{part.port}")
        if self.note(asked, label, response.status_code, response.content) != "gateway":
            case.validate_response(response, excluded_checks=[not_a_server_error])
        return int(response.status_code)

    def exhaust(self, api: Part, label: str) -> None:
        """Asks for an operation, whose service is gone, until the gateway answers 429."""
        method, path = label.split()
        with connect(api) as client:
            while not self["gateway", label, 429]:
                client.request(method, path)
                answer = client.getresponse()
                assert self.note("API", label, answer.status, answer.read()) == "gateway"
                assert self["gateway", label, 503] < 1000


def documented() -> set[tuple[str, str, int]]:
    """Each operation and status of the contracts, and the gateway's own answers."""
    wanted = {("gateway", "POST /todo", 413), ("gateway", HEALTH, 404), ("gateway", OTHER, 404)}
    for name, each in OPERATIONS.items():
        wanted.add((name, OTHER, 405))
        for label, operation in each.items():
            statuses = set(map(int, operation.definition.raw["responses"]))
            wanted |= {(name, label, status) for status in statuses}
            if not operation.definition.raw.get("x-internal"):
                wanted |= {("API", label, status) for status in statuses}
                wanted |= {("gateway", label, status) for status in (429, 503)}
    return wanted


@pytest.mark.slow
def test_every_documented_answer_is_given_and_no_other(tmp_path: Path) -> None:
    seen, nobody = Seen(), {"path_parameters": {"todoId": "01234567"}}
    with whole_path(tmp_path) as whole:
        services, paths = {"dog-names": whole.dogs, "todo": whole.todo}, {"todo": whole.todo, "API": whole.api}
        for name, service in services.items():
            seen.generate(name, name, service, tmp_path / f"{name}.ndjson")
            seen.generate(name, "API", whole.api, tmp_path / f"{name}-api.ndjson")
            seen.ask(name, "API", whole.api, HEALTH)
        for asked, part in paths.items():
            seen.ask("todo", asked, part, "GET /todo/{todoId}", **nobody)
            seen.ask("todo", asked, part, "POST /todo", **new(70_000))
        seen.ask("todo", "API", whole.api, "POST /todo", **new(MEGABYTES_10))
        whole.dynamodb.end()
        for asked, part in paths.items():
            seen.ask("todo", asked, part, "GET /todo/{todoId}", **nobody)
            seen.ask("todo", asked, part, "POST /todo", **new())
            seen.ask("todo", asked, part, "GET /todo")
        for name, service in services.items():
            service.process.terminate()
            while seen.ask(name, name, service, HEALTH) == 200:
                pass
            service.end()
        with running(throttled := processes.api(tmp_path, whole.dogs, whole.todo, throttled=True)):
            for answered, label, status in documented():
                if (answered, status) == ("gateway", 429):
                    seen.exhaust(throttled, label)
    # Schemathesis lets some answers pass, such as 415. An id may be no segment of a path: 404.
    assert seen.keys() - {("gateway", "GET /todo/{todoId}", 404)} == documented()
