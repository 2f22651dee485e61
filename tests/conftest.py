"""What the cross-folder tests share: the three local templates, as `make synth` leaves them."""

from pathlib import Path

import pytest

from tools.template import Template

ROOT = Path(__file__).parent.parent
FOLDERS = ("ecs-provider", "ec2-provider", "global-apigw")


@pytest.fixture(scope="session")
def templates() -> dict[str, Template]:
    return {name: Template.load(ROOT / name / f".local/cdk.out/{name}.template.json") for name in FOLDERS}
