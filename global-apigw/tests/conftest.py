"""Synthesizes the checked-in registry once for all tests."""

import json
from pathlib import Path
from typing import Any

import pytest

from app import build

DOGS = "com.amazonaws.vpce.us-west-2.vpce-svc-0d09"
TODO = "com.amazonaws.vpce.us-west-2.vpce-svc-070d"
ENVIRON = {
    "AWS_ACCOUNT": "111111111111",
    "AWS_REGION": "us-west-2",
    "DOGNAME_SERVICE_NAME": DOGS,
    "TODO_SERVICE_NAME": TODO,
}


def synthesize(outdir: Path, **environ: str) -> dict[str, Any]:
    """The template as plain JSON; `environ` is added to a complete one."""
    build({**ENVIRON, **environ}, outdir=str(outdir)).synth()
    template: dict[str, Any] = json.loads((outdir / "global-apigw.template.json").read_text())
    return template


@pytest.fixture(scope="session")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return synthesize(tmp_path_factory.mktemp("cdk.out"))
