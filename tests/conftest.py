"""Shared by the tests across folders: the local templates, as `make synth` leaves them, and copies of the sources."""

import shutil
from pathlib import Path

import pytest

from tools import synth
from tools.synth import FOLDERS, ROOT, Document
from tools.template import Template

__all__ = ["FOLDERS", "MADE", "ROOT", "checkout", "copy_sources"]
# One name a line, of a file or of a folder at any depth.
MADE = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if not line.startswith("#")]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process runs all tests of a group: they share a server, or the folders' .local."""
    whole_path = ("test_faults", "test_drain", "test_bad_input")
    for item in items:
        name = item.path.stem
        group = "rehearsal" if "rehearsal" in item.path.parts else "whole path" if name in whole_path else name
        if name != "test_folders":  # its tests work in places of their own
            item.add_marker(pytest.mark.xdist_group(group))


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
    for name in (".venv", *(f"{folder}/{made}" for folder in FOLDERS for made in (".venv", "node_modules"))):
        (to / name).symlink_to(ROOT / name)
    return to


@pytest.fixture(scope="session")
def templates() -> dict[str, Template]:
    return {name: Template(synth.local(name)) for name in FOLDERS}


@pytest.fixture(scope="session")
def variants() -> list[tuple[str, str, Document]]:
    return synth.variants()
