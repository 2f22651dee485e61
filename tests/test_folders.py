"""Each folder is a project of its own: it works where nothing of the others is, and synthesizes without a network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import FOLDERS, ROOT, copy_sources
from tools.synth import settings

each_folder = pytest.mark.parametrize("folder", FOLDERS)


def run(place: Path, command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command.split(), cwd=place, env=environ, capture_output=True, text=True)


def app(folder: str, place: Path, before: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    bin = ROOT / folder / ".venv/bin"
    own = {"PATH": f"{bin}:{os.environ['PATH']}", "HOME": str(place), **settings(folder)}
    return run(ROOT / folder, f"{before} {bin}/python app.py", **own | environ)


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS[1:])  # a copy of the first one, with another name, is in test_end_to_end.py
def test_a_folder_alone_installs_and_passes_its_tests(folder: str, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "UV"}
    copy_sources(folder, tmp_path)
    done = run(tmp_path / folder, "make --silent test SLOW=1", **environ)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert " passed" in done.stdout and "deselected" not in done.stdout


@each_folder
def test_fails_with_a_sentence_when_the_cdk_refuses(folder: str, tmp_path: Path) -> None:
    # The home has the CDK's libraries, unpacked.
    done = app(folder, tmp_path, CDK_OUTDIR="/dev/null/cdk.out", HOME=os.environ["HOME"])
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("error: the CDK cannot make this stack: ")
    assert "/dev/null/cdk.out" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="unshare is Linux's way to take the network away")
def test_synth_needs_no_network_and_no_home(tmp_path: Path) -> None:
    assert shutil.which("unshare"), "install util-linux"
    for folder in FOLDERS:  # the CDK unpacks its libraries once into the empty home
        done = app(folder, tmp_path, "unshare --net --map-root-user", CDK_OUTDIR=str(tmp_path / folder))
        assert done.returncode == 0, done.stderr
        assert (tmp_path / folder / f"{folder}.template.json").is_file()
