"""Twins: files that several folders keep as byte-identical copies, because folders never import from each other."""

from itertools import combinations
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALL = ("ecs-provider", "ec2-provider", "global-apigw")
TWINS = {
    "venv.mk": ALL,
    "deploy.mk": ALL,
    "guard.py": ALL,
    "infra/guards.py": ALL,
    "infra/alarms.py": ALL,
    "infra/settings.py": ALL,
    "infra/network.py": ALL,
    "infra/endpoint_service.py": ("ecs-provider", "ec2-provider"),
    "infra/connections.py": ("ecs-provider", "ec2-provider"),
}
COPIES = [
    *(tuple(f"{folder}/{file}" for folder in folders) for file, folders in TWINS.items()),
    ("global-apigw/local/template.py", "ec2-provider/local/template.py", "tools/template.py"),
]


@pytest.mark.parametrize("paths", COPIES, ids=lambda paths: paths[0])
def test_twins_are_equal_and_say_that_they_are_twins(paths: tuple[str, ...]) -> None:
    texts = {path: (ROOT / path).read_text() for path in paths}
    for one, other in combinations(paths, 2):
        assert texts[one] == texts[other], (
            f"{one} and {other} differ: change all copies, for example cp {one} {other}"
        )
    assert "Twin: " in texts[paths[0]].splitlines()[0]


def test_no_folder_reaches_outside_itself() -> None:
    for folder in ALL:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".mk", ".toml", ".json") and not {".venv", "node_modules"} & set(
                path.parts
            ):
                for other in {*ALL, "tools"} - {folder}:
                    for line in path.read_text().splitlines():
                        assert f"../{other}" not in line and f"from {other.replace('-', '_')}" not in line, (
                            path
                        )
