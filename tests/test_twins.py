"""Twins: files that several folders keep as byte-identical copies, because folders never import from each other."""

import re
from itertools import combinations
from pathlib import Path

import pytest

KINDS = (".py", ".mk", ".toml", ".json", ".sh")
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
# Configuration that is the same everywhere, and in formats that have no comments or need none.
SETTINGS = ("pyproject.toml", "cdk.json", ".npmrc", ".cfnlintrc", "tests/nag.py")
COPIES = [
    *(tuple(f"{folder}/{file}" for folder in folders) for file, folders in TWINS.items()),
    ("global-apigw/local/template.py", "tools/template.py"),
]


@pytest.mark.parametrize("paths", COPIES, ids=lambda paths: paths[0])
def test_twins_are_equal_and_say_that_they_are_twins(paths: tuple[str, ...]) -> None:
    texts = {path: (ROOT / path).read_text() for path in paths}
    for one, other in combinations(paths, 2):
        assert texts[one] == texts[other], (
            f"{one} and {other} differ: change all copies, for example cp {one} {other}"
        )
    assert "Twin: " in texts[paths[0]].splitlines()[0]


@pytest.mark.parametrize("file", SETTINGS)
def test_tools_are_configured_alike(file: str) -> None:
    assert len({(ROOT / folder / file).read_text() for folder in ALL}) == 1


def test_no_folder_reaches_outside_itself() -> None:
    made = {".venv", "node_modules", ".local", ".build", "cdk.out"}
    for folder in ALL:
        others = "|".join(name.replace("-", "[-_]") for name in {*ALL, "tools"} - {folder})
        for path in (ROOT / folder).rglob("*"):
            if (path.suffix in KINDS or path.name == "Makefile") and not made & set(path.parts):
                found = re.search(
                    rf"\.\./\.\./|\.\./({others})\b|\b(from|import) ({others})\b", path.read_text()
                )
                assert not found, f"{path}: {found.group()}"
