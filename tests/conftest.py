"""Shared by the tests across folders: the local templates, as `make synth` leaves them, and copies of the sources."""

import shutil
from pathlib import Path

import pytest

from tools import synth
from tools.synth import FOLDERS, ROOT, Document
from tools.template import Template

__all__ = ["FOLDERS", "MADE", "ROOT", "copy_sources"]
# One name a line, of a file or of a folder at any depth.
MADE = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if not line.startswith("#")]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process runs all tests of a group: they share a server, or the folders' local templates."""
    for item in items:
        if item.path.name != "test_folders.py":  # its tests work in places of their own
            item.add_marker(pytest.mark.xdist_group("rehearsal" if "rehearsal" in item.path.parts else "local"))


def copy_sources(name: str, to: Path) -> None:
    """Copy ROOT/`name`, a file or a folder, to `to`/`name` without what make made; times stay, so make rebuilds nothing."""
    if (ROOT / name).is_dir():
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns(*MADE))
    else:
        to.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, to / name)


@pytest.fixture(scope="session")
def templates() -> dict[str, Template]:
    return {name: Template(synth.local(name)) for name in FOLDERS}


@pytest.fixture(scope="session")
def variants() -> list[tuple[str, str, Document]]:
    return synth.variants()
