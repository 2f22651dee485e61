"""The bundle: the same bytes for the same input, and all that an instance without a network needs."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

from infra import bundle


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for this machine."""
    path = tmp_path_factory.mktemp("bundle") / "deep" / "bundle.tar.gz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "PYTHON", f"{sys.version_info.major}.{sys.version_info.minor}")
        patch.setattr(bundle, "PLATFORMS", [])
        bundle.main(path)
    return path


def test_holds_the_app_and_the_pinned_wheels_only(native: Path) -> None:
    with tarfile.open(native) as tar:
        modes = {entry.name: entry.mode for entry in tar.getmembers()}
    assert list(modes) == sorted(modes)
    assert [name for name in modes if modes[name] & 0o111] == ["install.sh"]
    expected = {"install.sh", "python-version", "requirements.txt", "todo.service"}
    expected |= {f"todo/{path.name}" for path in bundle.APP.glob("*.py")}
    pinned = re.findall(r"^([\w-]+)==([\w.]+)", (bundle.APP / "requirements.txt").read_text(), re.MULTILINE)
    expected |= {f"wheels/{name.replace('-', '_')}-{version}" for name, version in pinned}
    assert {"-".join(name.split("-")[:2]) for name in modes} == expected


def test_the_same_input_gives_the_same_bytes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bundle.pack(tmp_path)
    monkeypatch.setattr(time, "time", lambda: 1e9)
    assert bundle.pack(tmp_path) == first


def test_requirements_do_not_depend_on_the_machine_that_builds() -> None:
    # pip chooses wheels for the instance, but reads markers for the Python that runs pip.
    assert ";" not in (bundle.APP / "requirements.txt").read_text()


def test_pip_takes_the_wheels_of_the_instance_and_checks_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Mock(return_value=subprocess.CompletedProcess([], returncode=0))
    monkeypatch.setattr(subprocess, "run", run)
    bundle.download(tmp_path)
    assert {"--platform=manylinux2014_aarch64", "--python-version=3.13", "--require-hashes"} <= {*run.call_args.args[0]}


def test_fails_when_pip_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(SystemExit, match="error: pip could not download the wheels"):
        bundle.main(tmp_path / "bundle.tar.gz")
    assert not (tmp_path / "bundle.tar.gz").exists()


def without_network() -> list[str]:
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return command
    pytest.skip("no unshare that may cut the network off: not Linux, or user namespaces are forbidden")


@pytest.mark.slow
def test_installs_and_answers_with_the_network_cut_off(native: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    subprocess.run(["tar", "-xzf", native, "-C", tmp_path / "bundle"], check=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    service = {"TABLE_NAME": "todo", "AWS_REGION": "us-west-2", "DRAIN_SECONDS": "0"}
    environ = service | {"PATH": path, "HOME": str(tmp_path), "PYTHON": sys.executable}
    command = [*without_network(), "bash", str(bundle.APP.parent / "tests/install_and_ask.sh")]
    result = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout.strip()) == (0, '{"status": "ok"}'), result.stderr
