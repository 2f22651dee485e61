"""Docs are code: every command, target, variable, link, path and figure in a document is held against the tree."""

import json
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import FOLDERS, MADE, ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / folder / "README.md" for folder in (*FOLDERS, "bench", "tests/rehearsal")),
]
GOALS = {
    "A setting of a stack": 4,
    "A field of a todo": 5,
    "A type of resource in the gateway": 4,
    "A further service": 1,
}
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


@cache
def targets(folder: Path) -> set[str]:
    """The targets that `make help` shows in a folder."""
    shown = subprocess.run(["make", "-C", str(folder), "help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^  make ([a-z0-9-]+)", shown, re.MULTILINE))


def code(text: str) -> str:
    """The code of a page: blocks and spans."""
    return "\n".join(re.findall(r"```.*?```|`[^`]+`", text, re.DOTALL))


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_every_make_command_is_a_target_with_a_help_text(page: Path) -> None:
    commands = re.findall(r"\bmake (?:-C ([\w-]+) )?([a-z][\w-]*)", code(page.read_text()))
    assert commands or page.name == "decisions.md"
    for folder, target in commands:
        places = [ROOT / folder] if folder else [page.parent, ROOT]
        assert any(target in targets(place) for place in places if (place / "Makefile").exists()), f"make {target}"


@every_page
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            to = page.parent / path if path else page
            assert to.exists(), link
            assert not anchor or anchor in anchors(to), link


@every_page
def test_every_path_from_the_root_is_there(page: Path) -> None:
    top = "|".join(("FOLDER", *FOLDERS, "tests", "tools", "docs", ".github"))
    for path in re.findall(rf"`((?:{top})/[\w./-]+)`", page.read_text()):
        for folder in FOLDERS if path.startswith("FOLDER") else ("",):
            to = path.replace("FOLDER", folder)
            assert (ROOT / to).exists() or (page.parent / to).exists(), path


@cache
def sources() -> str:
    """The text of every file that could read a variable."""
    names, made = re.compile(r".*\.(py|mk|go|toml|sh|yml)|Makefile"), {*MADE, "tests"}
    files = (
        path for path in ROOT.rglob("*") if names.fullmatch(path.name) and not made & {*path.relative_to(ROOT).parts}
    )
    return "\n".join(path.read_text() for path in files)


@every_page
def test_every_variable_is_read_somewhere(page: Path) -> None:
    for name in set(re.findall(r"`([A-Z][A-Z0-9]*_[A-Z_]+)", page.read_text())):
        # An example, and statuses of CloudFormation.
        assert name in sources() or name == "CATS_SERVICE_NAME" or name.endswith("_FAILED"), name


def test_a_change_needs_as_many_files_as_its_heading_says_and_no_more_than_the_goal() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    lists = re.findall(r"^### (.+): (\d) files?\n\n((?:\d\. .+\n(?:   .+\n)*)+)", text, re.MULTILINE)
    counted = {change: int(files) for change, files, _ in lists}
    assert all(counted[change] <= goal for change, goal in GOALS.items())
    for change, files, steps in lists:
        assert len(re.findall(r"^\d\. ", steps, re.MULTILINE)) == int(files), change


def test_the_scheduled_request_goes_through_an_open_route_often_enough() -> None:
    # A VPC link sleeps after 60 days without traffic.
    [(day, month, path)] = re.findall(
        r"^\d+ \d+ (\S+) (\S+) [*\d]  curl -fsS https://[^/\s]+(/\S*)$", (ROOT / "global-apigw/README.md").read_text(), re.MULTILINE
    )  # fmt: skip
    assert (day, month) == ("*", "*")
    for registry in ("services.toml", "examples/secured.toml"):
        assert f'{{ key = "GET {path}" }}' in (ROOT / "global-apigw" / registry).read_text()


def test_the_budgets_of_the_first_page_hold() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
    assert len(targets(ROOT)) <= 22


def test_the_first_deploy_settles_every_doubt_of_the_doctor() -> None:
    named = re.findall(r"^\| `([a-z0-9-]+)` \| (.*?) \|", (ROOT / "docs/first-deploy.md").read_text(), re.MULTILINE)
    doubts = tomllib.loads((ROOT / "global-apigw/common/settled.toml").read_text())
    # The steps of the deploy are in a table of their own.
    assert [name for name, _ in named if name not in FOLDERS] == sorted(
        doubts, key=lambda name: "call" not in doubts[name]
    )
    assert all(doubts[name].get("how", "`make doctor` asks AWS") in how for name, how in named if name in doubts)


def test_the_rehearsal_s_page_lists_every_stand_in() -> None:
    place = ROOT / "tests/rehearsal"
    listed = re.findall(r"^\| `(\w+\.py)` \|", (place / "README.md").read_text(), re.MULTILINE)
    assert {*listed} == {path.name for path in place.glob("*.py") if not re.match("test_|conftest|__init__", path.name)}


def test_the_first_page_leads_to_every_document() -> None:
    links = re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text())
    assert {str(page.relative_to(ROOT)) for page in PAGES[1:]} <= {*links}


def test_the_port_table_has_the_defaults_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    rows = re.findall(r"^\| (\d+) \| `(\w+)` ", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert len(rows) == 5
    assert [f"{name} ?= {port}" for port, name in rows if f"\n{name} ?= {port}\n" not in makefile] == []


def test_a_shared_topic_takes_the_alarms_of_all_three_accounts_and_nothing_else() -> None:
    [block] = re.findall(r"```json\n(.*?)```", (ROOT / "docs/deploy.md").read_text(), re.DOTALL)
    policy = json.loads(block)
    accounts = ("111111111111", "222222222222", "333333333333")
    assert (policy["Principal"], policy["Action"]) == ({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish")
    assert policy["Condition"] == {
        "ArnLike": {"aws:SourceArn": [f"arn:aws:cloudwatch:us-west-2:{each}:alarm:*" for each in accounts]}
    }
