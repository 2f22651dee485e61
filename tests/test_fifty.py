"""Fifty services with three routes each: one stack, clean, with a way of its own for each, and served locally."""

import json
import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from bench.registries import FIRST_PORT, services
from tests.conftest import ROOT
from tests.processes import Part, connect, dogs, running
from tests.rehearsal import in_process
from tests.rehearsal.environment import ECS
from tests.test_dashboards import bodies, fits
from tools.reach import Network
from tools.resources import read
from tools.synth import Document, settings, synthesize
from tools.template import Template

pytestmark = pytest.mark.slow
FIFTY = services(50)


@pytest.fixture(scope="module")
def document() -> Document:
    return synthesize("global-apigw", FIFTY)


def test_a_tenth_of_the_resources_is_spare(document: Document) -> None:
    assert len(document["Resources"]) <= 450


def test_the_dashboards_fit_with_less_than_a_megabyte_of_template(document: Document) -> None:
    found = bodies(Template(document))
    assert [len(body["widgets"]) for body in found.values()] == [18, 51]
    assert all(map(fits, found.values()))
    assert len(json.dumps(document, indent=1)) < 1_000_000  # as the CDK writes it: cloudformation-limits.html


def test_each_listener_leads_to_an_endpoint_of_its_own_that_the_balancer_reaches(document: Document) -> None:
    network = Network(read(document))
    ends = {end for _, _, end in network.listeners()}
    reached = {to for source, _, to in network.flows() if source.startswith("LoadBalancer")}
    assert len(ends) == 50 and ends == reached


def test_cfn_lint_and_cdk_nag_have_nothing_to_say(tmp_path: Path) -> None:
    (tmp_path / "services.toml").write_text(FIFTY)
    environ = os.environ | settings("global-apigw") | {"SERVICES": str(tmp_path / "services.toml")}
    folder = ROOT / "global-apigw"
    environ["PATH"] = f"{folder / '.venv/bin'}:{environ['PATH']}"
    template = tmp_path / "out/0/global-apigw.template.json"
    for command in (f"python -m common.tests.nag {tmp_path}/out AZ_IDS=", f"cfn-lint {template} --regions us-west-2"):
        done = subprocess.run(command.split(), cwd=folder, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_local_api_serves_them(document: Document, tmp_path: Path) -> None:
    (tmp_path / "template.json").write_text(json.dumps(document))
    last = dogs(tmp_path)
    command = f"python -m local {tmp_path}/template.json --config {tmp_path}/envoy.json --port {{port}}"
    local = Part(tmp_path / "api.log", "global-apigw", f"{command} --endpoint {FIRST_PORT + 49}=127.0.0.1:{last.port}")
    with running(last, local), connect(local) as client:
        for path, status in (("/dogs", 200), (f"/s{FIRST_PORT}", 503), ("/nowhere", 404)):
            client.request("GET", path)
            answer = client.getresponse()
            assert (answer.status, bool(answer.read())) == (status, True)


def test_the_rehearsal_deploys_them() -> None:
    with in_process.synths() as synth, in_process.accounts():
        names = {f"S{FIRST_PORT + number}_SERVICE_NAME": in_process.provider(ECS) for number in range(50)}
        done = in_process.Team(synth["global-apigw"], names).deploy(tomllib.loads(FIFTY))
    assert done.status == "CREATE_COMPLETE", done.reasons
