"""Shared by the tests across folders: the local templates, as `make synth` leaves them, and copies of the sources."""

import os
import shutil
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped] # xdist has no types

from tools import synth
from tools.synth import FOLDERS, ROOT, Document
from tools.template import Template

__all__ = ["FOLDERS", "MADE", "ROOT", "checkout", "copy_sources"]
# One name a line, of a file or of a folder at any depth.
MADE = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if not line.startswith("#")]

# A test is a person at a shell: the make that it starts takes no part in the jobs of the make that has started the tests.
for name in ("MAKEFLAGS", "MAKELEVEL"):
    os.environ.pop(name, None)

# Each of their tests takes minutes, in a process of its own: the last to begin would run alone.
LONGEST = ["test_folders.py", "test_histories.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)


class Scheduler(LoadScopeScheduling):  # type: ignore[misc] # as above
    """One process runs all tests of a scope: they share a server, or the folders' .local.

    Not --dist=loadgroup: with pytest 9.2 it runs each test of a group anywhere (pytest-xdist #1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        if path == "tests/test_folders.py":  # its tests work in places of their own
            return nodeid
        if path.removeprefix("tests/test_") in (
            "faults.py",
            "drain.py",
            "bad_input.py",
            "end_to_end.py",
            "docs_page.py",
        ):
            return "whole path"  # in global-apigw/.local
        match path.removeprefix("tests/rehearsal/test_"):
            case "updates.py" | "histories.py" | "doctor.py" | "regions.py":  # have accounts in their own process
                return path
            case "left_table.py" | "deployed_again.py":  # need a server, and nothing that others have deployed
                return "stranger"
        return "rehearsal" if path.startswith("tests/rehearsal/") else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduler:
    return Scheduler(config, log)


def copy_sources(name: str, to: Path) -> None:
    """Copy ROOT/`name`, a file or a folder, to `to`/`name` without what make made; times stay, so make rebuilds nothing."""
    if (ROOT / name).is_dir():
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns(*MADE))
    else:
        to.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, to / name)


def checkout(to: Path) -> Path:
    """A copy of the repository, which shares the working tree's installed packages and nothing else."""
    for name in ("Makefile", "Procfile", "requirements.txt", "tools", *FOLDERS):
        copy_sources(name, to)
    for name in (
        ".venv",
        "tools/page/node_modules",
        *(f"{folder}/{made}" for folder in FOLDERS for made in (".venv", "node_modules")),
    ):
        (to / name).symlink_to(ROOT / name)
    return to


@pytest.fixture(scope="session")
def templates() -> dict[str, Template]:
    return {name: Template(synth.local(name)) for name in FOLDERS}


@pytest.fixture(scope="session")
def variants() -> list[tuple[str, str, Document]]:
    return synth.variants()
