"""Each folder is a project of its own: it works where nothing of the others is, and synthesizes without a network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import FOLDERS, ROOT, copy_sources

SETTINGS = {
    "AWS_REGION": "us-west-2",
    "AWS_ACCOUNT": "123456789012",
    "API_GATEWAY_ACCOUNT_ARN": "arn:aws:iam::111111111111:root",
    "IMAGE_TAG": "001",
    "BUNDLE": "bundle.tar.gz",
    "DOGNAME_SERVICE_NAME": "com.amazonaws.vpce.us-west-2.vpce-svc-0d09",
    "TODO_SERVICE_NAME": "com.amazonaws.vpce.us-west-2.vpce-svc-070d",
}


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_alone_installs_and_passes_its_tests(folder: str, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name not in ("UV", "MAKEFLAGS", "MAKELEVEL")}
    copy_sources(folder, tmp_path)
    done = subprocess.run(
        ["make", "--silent", "test"], cwd=tmp_path / folder, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize("folder", FOLDERS)
def test_fails_with_a_sentence_when_the_cdk_refuses(folder: str, tmp_path: Path) -> None:
    (tmp_path / "bundle.tar.gz").touch()
    path = f"{ROOT / folder}/.venv/bin:{os.environ['PATH']}"
    wrong = {"BUNDLE": str(tmp_path / "bundle.tar.gz"), "CDK_OUTDIR": "/dev/null/cdk.out"}
    done = subprocess.run(
        [ROOT / folder / ".venv/bin/python", "app.py"], cwd=ROOT / folder, env=SETTINGS | {"PATH": path} | wrong,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("error: the CDK cannot make this stack: ")
    assert "/dev/null/cdk.out" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="unshare is Linux's way to take the network away")
@pytest.mark.parametrize("folder", FOLDERS)
def test_synth_needs_no_network_and_no_home(folder: str, tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    assert unshare, "install util-linux"
    work = ROOT / folder
    (tmp_path / "bundle.tar.gz").write_bytes(b"some bundle")
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [unshare, "--net", "--map-root-user", str(work / ".venv/bin/python"), "app.py"],
        cwd=work,
        env={
            "PATH": f"{work}/.venv/bin:{os.environ['PATH']}",
            "HOME": str(tmp_path / "home"),
            **SETTINGS,
            "BUNDLE": str(tmp_path / "bundle.tar.gz"),
            "CDK_OUTDIR": str(tmp_path / "cdk.out"),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"cdk.out/{folder}.template.json").is_file()
