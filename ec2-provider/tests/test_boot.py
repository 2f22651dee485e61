"""User data on a machine of stand-ins: what it does, in order, and what it says when something fails."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import FOLDER

BOOT = FOLDER / "infra" / "boot.sh"
SIGNAL_URL = "https://signal.example/?X-Amz-Signature=a&b"
STAND_IN = """#!/bin/bash
name=$(basename "$0")
echo "$name $*" >>"$CALLS"
[[ ,$BROKEN, != *,$name,* ]] || exit 1
case "$name $*" in
  "aws s3 cp"*) cp "$BUNDLE" "${@: -1}" ;;
  "curl "*"--request PUT"*) exit "$SIGNAL_ANSWER" ;;
esac
"""

pytestmark = pytest.mark.skipif(
    not shutil.which("timeout"), reason="boot.sh needs GNU timeout, as Amazon Linux has"
)


class Machine:
    """A root folder with stand-ins for the commands that reach out."""

    def __init__(self, folder: Path) -> None:
        self.root, self.calls, self.bin, bundle = (
            folder / "root",
            folder / "calls",
            folder / "bin",
            folder / "bundle",
        )
        for path in ("var/log", "var/lib/cloud/data", "dev"):
            (self.root / path).mkdir(parents=True)
        (self.root / "var/lib/cloud/data/instance-id").write_text("i-0abc\n")
        self.bin.mkdir()
        for name in ("amazon-cloudwatch-agent-ctl", "aws", "curl", "dnf", "journalctl", "sleep", "systemctl"):
            self._script(self.bin / name)
        bundle.mkdir()
        self._script(bundle / "install.sh")
        (bundle / "python-version").write_text("3.13\n")
        (bundle / "todo.service").write_text("[Unit]\n")
        subprocess.run(["tar", "-czf", folder / "bundle.tar.gz", "-C", bundle, "."], check=True)
        self.bundle = folder / "bundle.tar.gz"

    @staticmethod
    def _script(path: Path) -> None:
        path.write_text(STAND_IN)
        path.chmod(0o755)

    def boot(
        self, *, broken: str = "", signal_answer: int = 0, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        known = {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "BOOT_ROOT": str(self.root),
            "CALLS": str(self.calls),
            "BUNDLE": str(self.bundle),
            "BROKEN": broken,
            "SIGNAL_ANSWER": str(signal_answer),
            "BUNDLE_URI": "s3://assets/key.tar.gz",
            "TABLE_NAME": "todo-1",
            "AWS_REGION": "us-west-2",
            "SIGNAL_URL": SIGNAL_URL,
        }
        return subprocess.run(
            ["bash", BOOT], env={**known, **environ}, capture_output=True, text=True, timeout=30
        )

    def console(self) -> str:
        text = (self.root / "dev/console").read_text()
        assert text == (self.root / "var/log/todo-boot.log").read_text()
        return text

    def signals(self) -> list[dict[str, str]]:
        lines = [line for line in self.calls.read_text().splitlines() if line.endswith(SIGNAL_URL)]
        return [json.loads(line.split("--data-binary ")[1].rsplit(" ", 1)[0]) for line in lines]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_boots_and_signals_success(machine: Machine) -> None:
    result = machine.boot()
    assert result.returncode == 0, machine.console()
    names = [line.split()[0] for line in machine.calls.read_text().splitlines()]
    assert names == ["aws", "dnf", "install.sh", "systemctl", "systemctl", "curl", "curl"]
    assert "dnf install -y -q python3.13\n" in machine.calls.read_text()
    assert (
        machine.root / "etc/todo.env"
    ).read_text() == "TABLE_NAME=todo-1\nAWS_REGION=us-west-2\nACCESS_LOG=on\n"
    assert (machine.root / "etc/systemd/system/todo.service").read_text() == "[Unit]\n"
    assert machine.signals() == [
        {"Status": "SUCCESS", "Reason": "todo answers", "UniqueId": "i-0abc", "Data": ""}
    ]
    assert "--header Content-Type: " in machine.calls.read_text()


@pytest.mark.parametrize(
    ("broken", "tries", "reason"),
    [("aws", 3, "fetch the bundle"), ("dnf", 3, "install Python"), ("install.sh", 1, "install the service"),
     ("systemctl", 1, "start the service")],
)  # fmt: skip
def test_fails_when_a_step_fails_and_signals_it(
    machine: Machine, broken: str, tries: int, reason: str
) -> None:
    result = machine.boot(broken=broken)
    assert result.returncode != 0
    names = [line.split()[0] for line in machine.calls.read_text().splitlines()]
    assert (names.count(broken), names.count("sleep")) == (tries, tries - 1)
    [signal] = machine.signals()
    assert signal["Status"] == "FAILURE" and reason in signal["Reason"]
    assert f"boot failed: could not {reason}" in machine.console()
    assert names[-1] == "journalctl"


@pytest.mark.parametrize("environ", [{"SIGNAL_URL": SIGNAL_URL}, {"SIGNAL_URL": ""}])
def test_later_boots_do_not_need_the_signal(machine: Machine, environ: dict[str, str]) -> None:
    result = machine.boot(signal_answer=22, **environ)
    assert result.returncode == 0
    assert ("the signal SUCCESS was not taken" in machine.console()) == bool(environ["SIGNAL_URL"])


def test_logs_are_shipped_when_there_is_a_log_group(machine: Machine) -> None:
    assert machine.boot(LOG_GROUP="todo-logs").returncode == 0, machine.console()
    assert "amazon-cloudwatch-agent-ctl -a fetch-config" in machine.calls.read_text()
    files = json.loads((machine.root / "etc/todo-logs.json").read_text())["logs"]["logs_collected"]["files"]
    assert [(each["file_path"], each["log_group_name"]) for each in files["collect_list"]] == [
        ("/var/log/todo/todo.log", "todo-logs"),
        ("/var/log/todo-boot.log", "todo-logs"),
    ]
    unit = (machine.root / "etc/systemd/system/todo.service.d/log.conf").read_text()
    assert "StandardOutput=append:/var/log/todo/todo.log\n" in unit


def test_fails_when_nothing_was_exported(machine: Machine) -> None:
    assert machine.boot(TABLE_NAME="").returncode != 0
    assert "TABLE_NAME" in machine.console()
    assert [signal["Reason"].split(",")[0] for signal in machine.signals()] == ["could not read the settings"]


def test_a_boot_reports_its_failure_before_the_group_replaces_the_instance() -> None:
    script, fleet = BOOT.read_text(), (FOLDER / "infra" / "fleet.py").read_text()
    retried = sum(
        3 * int(seconds) + 2 + 4 for seconds in re.findall(r"^ +retry (\d+) ", script, re.MULTILINE)
    )
    once = sum(map(int, re.findall(r"(?:^ +timeout|--retry-max-time) (\d+)", script, re.MULTILINE)))
    signalled = 3 * 10 + 1 + 2
    [grace] = map(int, re.findall(r"^GRACE = Duration.minutes\((\d+)\)", fleet, re.MULTILINE))
    [wait] = map(int, re.findall(r'timeout="(\d+)"', fleet))
    assert (retried, once) == (66 + 186 + 186, 90 + 60)
    assert retried + once + signalled < grace * 60
    # Time for one replacement.
    assert wait > 2 * grace * 60


def test_scripts_are_clean() -> None:
    assert shutil.which("shellcheck"), "it comes with requirements-dev.txt: run by make test"
    scripts = [BOOT, FOLDER / "todo" / "install.sh"]
    result = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
