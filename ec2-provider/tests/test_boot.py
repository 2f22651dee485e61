"""User data on a machine of stand-ins: its steps, their order, and its messages when a step fails."""

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
case "$name $*" in
  "aws s3 cp"*) cp "$BUNDLE" "${@: -1}" ;;
  "curl "*"--request PUT"*) cat >>"$SIGNALS"; exit "$SIGNAL_ANSWER" ;;
  "dnf "*) printf '%s' "$DNF_SAYS" >&2 ;;
  "journalctl "*) echo "todo: the service's last words" ;;
esac
[[ ,$BROKEN, != *",$name $1,"* ]]
"""

pytestmark = pytest.mark.skipif(not shutil.which("timeout"), reason="boot.sh needs GNU timeout, as Amazon Linux has")


class Machine:
    """A root folder with stand-ins for the commands that reach out."""

    def __init__(self, folder: Path) -> None:
        self.root, self.calls, self.signalled = folder / "root", folder / "calls", folder / "signals"
        self.bin, bundle = folder / "bin", folder / "bundle"
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

    def boot(self, *, broken: str = "", signal_answer: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
        """`broken` is a command and its first argument."""
        known = {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "BOOT_ROOT": str(self.root),
            "CALLS": str(self.calls),
            "BUNDLE": str(self.bundle),
            "BROKEN": broken,
            "DNF_SAYS": "",
            "SIGNALS": str(self.signalled),
            "SIGNAL_ANSWER": str(signal_answer),
            "BUNDLE_URI": "s3://assets/key.tar.gz",
            "TABLE_NAME": "todo-1",
            "AWS_REGION": "us-west-2",
            "SIGNAL_URL": SIGNAL_URL,
        }
        return subprocess.run(["bash", BOOT], env={**known, **environ}, capture_output=True, text=True, timeout=30)

    def console(self) -> str:
        text = (self.root / "dev/console").read_text(errors="replace")
        assert text == (self.root / "var/log/todo-boot.log").read_text(errors="replace")
        return text

    def signal(self) -> dict[str, str]:
        """The one that was sent."""
        body = self.signalled.read_text(encoding="ascii")
        assert len(body) <= 4096, "CloudFormation takes no more"
        sent: dict[str, str] = json.loads(body)
        return sent


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_boots_and_signals_success(machine: Machine) -> None:
    result = machine.boot()
    assert result.returncode == 0, machine.console()
    names = [line.split()[0] for line in machine.calls.read_text().splitlines()]
    assert names == ["aws", "dnf", "install.sh", "aws", "systemctl", "systemctl", "curl", "curl"]
    assert "dnf install -y -q python3.13\n" in machine.calls.read_text()
    assert (machine.root / "etc/todo.env").read_text() == "TABLE_NAME=todo-1\nAWS_REGION=us-west-2\nACCESS_LOG=on\n"
    assert (machine.root / "etc/systemd/system/todo.service").read_text() == "[Unit]\n"
    assert machine.signal() == {
        "Status": "SUCCESS", "Reason": "todo answers", "UniqueId": "i-0abc", "Data": ""
    }  # fmt: skip
    assert "--header Content-Type: " in machine.calls.read_text()


@pytest.mark.parametrize(
    ("broken", "tries", "reason"),
    [("aws s3", 8, "fetch the bundle"), ("dnf install", 3, "install Python"), ("install.sh /", 1, "install the service"),
     ("aws dynamodb", 8, "read the table todo-1"), ("systemctl daemon-reload", 1, "start the service")],
)  # fmt: skip
def test_fails_when_a_step_fails_and_signals_it(machine: Machine, broken: str, tries: int, reason: str) -> None:
    result = machine.boot(broken=broken.replace("/", str(machine.root / "opt/todo")))
    assert result.returncode != 0
    calls = machine.calls.read_text().splitlines()
    assert sum(call.startswith(broken) for call in calls) == tries
    assert calls.count("sleep 15") == tries - 1
    signal = machine.signal()
    assert signal["Status"] == "FAILURE"
    assert signal["Reason"].startswith(f"boot failed: could not {reason}\n")
    # The instance is gone when somebody asks why: the stack's events still have this.
    assert signal["Reason"].endswith("todo: the service's last words")
    assert f"boot failed: could not {reason}" in machine.console()


@pytest.mark.parametrize(
    "said",
    [b"no package \"python3.13\"\tin C:\\repos\n", b"x" * 50_000, "ß☃😀".encode() * 2000, b"\x01\x1b[31m" * 3000, b"\xff" * 5000],
    ids=["quoted", "long", "beyond ASCII", "control", "not UTF-8"],
)  # fmt: skip
def test_a_signal_is_json_of_at_most_4096_bytes_whatever_failed(machine: Machine, said: bytes) -> None:
    assert machine.boot(broken="dnf install", DNF_SAYS=os.fsdecode(said)).returncode != 0
    reason = machine.signal()["Reason"]
    assert reason.startswith("boot failed: could not install Python\n")
    assert "try 3 of 3 failed: dnf install -y -q python3.13\n" in reason
    if len(said) < 100:
        assert said.decode() in reason


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
    assert "dnf install -y -q python3.13 amazon-cloudwatch-agent logrotate\n" in machine.calls.read_text()


def test_logs_cannot_fill_the_disk_between_two_runs_of_logrotate(machine: Machine) -> None:
    assert machine.boot(LOG_GROUP="todo-logs").returncode == 0, machine.console()
    timer = (machine.root / "etc/systemd/system/logrotate.timer.d/often.conf").read_text()
    # The empty line takes the daily run back.
    assert timer == "[Timer]\nOnCalendar=\nOnCalendar=minutely\nAccuracySec=1s\n"
    assert machine.calls.read_text().index("daemon-reload") < machine.calls.read_text().index("restart logrotate.timer")
    rule = (machine.root / "etc/logrotate.d/todo").read_text()
    assert rule.startswith("/var/log/todo/todo.log {") and "copytruncate" in rule
    size, old = (int(re.findall(rf"{name} (\d+)", rule)[0]) for name in ("size", "rotate"))
    # Requests that fill all that the API accepts of a head, and more of them than two small CPUs can serve.
    a_minute = 61 * 1000 * 10_240
    # While it rotates there are the file, its new copy and the old ones. An image, the bundle and the agent leave half of 8 GB.
    assert (1 + 1 + old) * (size * 2**20 + a_minute) < 4e9


def test_fails_when_nothing_was_exported(machine: Machine) -> None:
    assert machine.boot(TABLE_NAME="").returncode != 0
    assert "TABLE_NAME" in machine.console()
    assert machine.signal()["Reason"].startswith("boot failed: could not read the settings\n")


def test_a_boot_reports_its_failure_before_the_group_replaces_the_instance() -> None:
    script, fleet = BOOT.read_text(), (FOLDER / "infra" / "fleet.py").read_text()
    steps = re.findall(r"^ +retry (\d+) (\d+) ", script, re.MULTILINE)
    retried = [tries * seconds + (tries - 1) * 15 for tries, seconds in (map(int, step) for step in steps)]
    once = sum(map(int, re.findall(r"(?:^ +timeout|--retry-max-time) (\d+)", script, re.MULTILINE)))
    signalled = 3 * 10 + 1 + 2
    [grace] = map(int, re.findall(r"GRACE = .+ Duration.minutes\((\d+)\)", fleet, re.MULTILINE))
    [wait] = map(int, re.findall(r'timeout="(\d+)"', fleet))
    assert (retried, once) == ([225, 330, 185], 90 + 60)
    assert sum(retried) + once + signalled < grace * 60
    # Time for one replacement.
    assert wait > 2 * grace * 60
