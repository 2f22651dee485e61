"""Synthesizes the checked-in registry once for all tests."""

import json
from pathlib import Path
from typing import Any

import pytest

from app import build

FOLDER = Path(__file__).parent.parent
DOGS = "com.amazonaws.vpce.us-west-2.vpce-svc-0d09"
TODO = "com.amazonaws.vpce.us-west-2.vpce-svc-070d"
CATS = "com.amazonaws.vpce.us-west-2.vpce-svc-0ca7"
ENVIRON = {
    "AWS_ACCOUNT": "111111111111",
    "AWS_REGION": "us-west-2",
    "DOGNAME_SERVICE_NAME": DOGS,
    "TODO_SERVICE_NAME": TODO,
}
# A team joins by an entry alone.
THIRD_TEAM = """
[services.cats]
endpoint_service = "CATS_SERVICE_NAME"
endpoint_port = 9090
listener_port = 8083
health_path = "/ping"
timeout_seconds = 20
routes = [{ key = "GET /cats/{catId}", throttle = { rate = 5, burst = 7 }, auth = "jwt", scopes = ["cats.read"] }]
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
def secured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """examples/secured.toml with a third service, and a topic for alarms."""
    folder = tmp_path_factory.mktemp("secured")
    registry = folder / "services.toml"
    registry.write_text((FOLDER / "examples/secured.toml").read_text() + THIRD_TEAM)
    topic = "arn:aws:sns:us-west-2:111111111111:alarms"
    return synthesize(folder / "out", SERVICES=str(registry), CATS_SERVICE_NAME=CATS, ALARM_TOPIC_ARN=topic)
