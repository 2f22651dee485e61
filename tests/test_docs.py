"""Docs are code: every command, target, variable, link and figure in a README is held against the tree."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import FOLDERS, ROOT

READMES = [
    ROOT / "README.md",
    *(ROOT / folder / "README.md" for folder in (*FOLDERS, "bench")),
    *(ROOT / "docs").glob("*.md"),
]


def targets(folder: Path) -> set[str]:
    """The targets that `make help` shows in a folder."""
    shown = subprocess.run(
        ["make", "-C", str(folder), "help"], capture_output=True, text=True, check=True
    ).stdout
    return set(re.findall(r"^  make ([a-z0-9-]+)", shown, re.MULTILINE))


def code(text: str) -> str:
    """What a README says in code: blocks and spans."""
    return "\n".join(re.findall(r"```.*?```|`[^`]+`", text, re.DOTALL))


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_every_make_command_is_a_target_with_a_help_text(readme: Path) -> None:
    commands = re.findall(r"\bmake (?:-C ([\w-]+) )?([a-z][\w-]*)", code(readme.read_text()))
    assert commands
    for folder, target in commands:
        places = [ROOT / folder] if folder else [readme.parent, ROOT]
        assert any(target in targets(place) for place in places if (place / "Makefile").exists()), (
            f"make {target}"
        )


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_every_link_leads_to_a_file(readme: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", readme.read_text()):
        assert link.startswith("https://") or (readme.parent / link).exists(), link


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_every_variable_is_read_somewhere(readme: Path) -> None:
    sources = "\n".join(
        path.read_text()
        for path in ROOT.rglob("*")
        if (path.suffix in (".py", ".mk", ".go", ".toml", ".sh", ".yml") or path.name == "Makefile")
        and not {".venv", "tests", ".local", "node_modules"} & set(path.relative_to(ROOT).parts)
    )
    for name in set(re.findall(r"`([A-Z][A-Z0-9]*_[A-Z_]+)", readme.read_text())) - {"CATS_SERVICE_NAME"}:
        assert name in sources, name


def test_the_scheduled_request_goes_through_an_open_route_often_enough() -> None:
    # A VPC link sleeps after 60 days without traffic.
    [(day, month, path)] = re.findall(
        r"^\d+ \d+ (\S+) (\S+) [*\d]  curl -fsS https://[^/\s]+(/\S*)$", (ROOT / "global-apigw/README.md").read_text(), re.MULTILINE
    )  # fmt: skip
    assert (day, month) == ("*", "*")
    for registry in ("services.toml", "examples/secured.toml"):
        assert f'{{ key = "GET {path}" }}' in (ROOT / "global-apigw" / registry).read_text()


def test_the_budgets_of_the_first_page_hold() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 250
    assert len(targets(ROOT)) <= 22


def test_the_port_table_has_the_defaults_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    rows = re.findall(r"^\| (\d+) \| `(\w+)` ", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(rows) == 4
    for port, name in rows:
        assert f"{name} ?= {port}\n" in makefile


def test_a_shared_topic_takes_the_alarms_of_all_three_accounts_and_nothing_else() -> None:
    [block] = re.findall(r"```json\n(.*?)```", (ROOT / "docs/deploy.md").read_text(), re.DOTALL)
    policy = json.loads(block)
    accounts = ("111111111111", "222222222222", "333333333333")
    assert (policy["Principal"], policy["Action"]) == ({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish")
    assert policy["Condition"] == {
        "ArnLike": {"aws:SourceArn": [f"arn:aws:cloudwatch:us-west-2:{each}:alarm:*" for each in accounts]}
    }
