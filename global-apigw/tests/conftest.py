"""Synthesizes a registry once for all tests: the checked-in one, with a further service, and with every option."""

import json
from pathlib import Path
from typing import Any

import pytest

from app import build
from infra.settings import GatewaySettings

FOLDER = Path(__file__).parent.parent
# A stand-in for the endpoint service of each service in the registry, whatever their names.
ENVIRON = {"AWS_ACCOUNT": "111111111111", "AWS_REGION": "us-west-2", "STAND_INS": "1"}
SETTINGS = GatewaySettings.read(ENVIRON)
FURTHER_SERVICE = """
[services.further]
endpoint_service = "FURTHER_SERVICE_NAME"
endpoint_port = 9090
listener_port = 65000
region = "eu-west-1"
health_path = "/ping"
timeout_seconds = 20
objective = 99
routes = [{ key = "GET /further/{id}", throttle = { rate = 5, burst = 7 } }]
"""


def synthesize(outdir: Path, **environ: str) -> dict[str, Any]:
    """The template as plain JSON; `environ` is added to a complete one."""
    build({**ENVIRON, **environ}, outdir=str(outdir)).synth()
    template: dict[str, Any] = json.loads((outdir / "global-apigw.template.json").read_text())
    return template


@pytest.fixture(scope="session")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return synthesize(tmp_path_factory.mktemp("cdk.out"))


@pytest.fixture(scope="session")
def joined(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The checked-in registry, and a service that joins by an entry alone."""
    folder = tmp_path_factory.mktemp("joined")
    registry = folder / "services.toml"
    registry.write_text((FOLDER / "services.toml").read_text() + FURTHER_SERVICE)
    return synthesize(folder, SERVICES=str(registry))


@pytest.fixture(scope="session")
def over_tls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The checked-in registry, with both services over TLS."""
    folder = tmp_path_factory.mktemp("over-tls")
    registry = folder / "services.toml"
    tls = 'endpoint_port = 8443\ntls = { server_name = "internal.example.com" }'
    registry.write_text((FOLDER / "services.toml").read_text().replace("endpoint_port = 8080", tls))
    return synthesize(folder, SERVICES=str(registry))


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """examples/production.toml: the services of the checked-in registry, behind a domain."""
    return synthesize(tmp_path_factory.mktemp("production"), SERVICES=str(FOLDER / "examples/production.toml"))


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """examples/secured.toml, and a topic for alarms."""
    topic = "arn:aws:sns:us-west-2:111111111111:alarms"
    folder = tmp_path_factory.mktemp("secured")
    return synthesize(folder, SERVICES=str(FOLDER / "examples/secured.toml"), ALARM_TOPIC_ARN=topic)
