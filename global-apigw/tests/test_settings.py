"""The settings of the gateway that depend on the registry."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import DOGS, TODO, synthesize

FOLDER = Path(__file__).parent.parent
CATS = """
[services.cats]
endpoint_service = "CATS_SERVICE_NAME"
endpoint_port = 8080
listener_port = 8083
health_path = "/healthz"
timeout_seconds = 10
routes = [{ key = "GET /cats" }]
"""


def test_the_local_run_finds_a_further_service_by_its_entry_in_the_registry_alone(tmp_path: Path) -> None:
    registry, config = tmp_path / "services.toml", tmp_path / "envoy.json"
    registry.write_text((FOLDER / "services.toml").read_text() + CATS)
    synthesize(tmp_path, SERVICES=str(registry), STAND_INS="1")
    named = f"--endpoint {DOGS}=127.0.0.1:1 --endpoint {TODO}=127.0.0.1:2"
    run = f"-m local {tmp_path}/global-apigw.template.json {named}"
    shell = f"{sys.executable} {run} --port 3 --config {config} --envoy true"
    subprocess.run(shell, shell=True, cwd=FOLDER, check=True)
    assert all(f'"port_value": {port}' in config.read_text() for port in (1, 2, 8083))
