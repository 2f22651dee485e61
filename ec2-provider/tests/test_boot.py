"""User data on a machine of stand-ins: its steps, their order, and its messages when a step fails."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from infra.fleet import GRACE
from tests.conftest import FOLDER

BOOT = FOLDER / "infra" / "boot.sh"
SIGNAL_URL = "https://signal.example/?X-Amz-Signature=a&b"
STAND_INS = ("amazon-cloudwatch-agent-ctl", "aws", "curl", "dnf", "journalctl", "sleep", "systemctl")
pytestmark = pytest.mark.skipif(not shutil.which("timeout"), reason="boot.sh needs GNU timeout, as Amazon Linux has")


class Machine:
    """A root folder with stand-ins for the commands that reach out."""

    def __init__(self, folder: Path) -> None:
        stand_in = (FOLDER / "tests/stand_in.sh").read_text()
        self.folder, self.root, self.calls = folder, folder / "root", folder / "calls"
        files = {
            "root/dev/console": "",
            "root/var/log/todo-boot.log": "",
            "root/var/lib/cloud/data/instance-id": "i-0abc\n",
            "bundle/python-version": "3.13\n",
            "bundle/todo.service": "[Unit]\n",
            **{f"bin/{name}": stand_in for name in STAND_INS},
            "bundle/install.sh": stand_in,
        }
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        subprocess.run(["tar", "-czf", folder / "bundle.tar.gz", "-C", folder / "bundle", "."], check=True)

    def boot(self, *, broken: str = "", signal_answer: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
        """`broken` is a command and its first argument."""
        known = {
            "PATH": f"{self.folder}/bin{os.pathsep}{os.environ['PATH']}",
            "BOOT_ROOT": str(self.root),
            "CALLS": str(self.calls),
            "BUNDLE": str(self.folder / "bundle.tar.gz"),
            "BROKEN": broken,
            "DNF_SAYS": "",
            "SIGNALS": str(self.folder / "signals"),
            "SIGNAL_ANSWER": str(signal_answer),
            "BUNDLE_URI": "s3://assets/key.tar.gz",
            "TABLE_NAME": "todo-1",
            "AWS_REGION": "us-west-2",
            "SIGNAL_URL": SIGNAL_URL,
        }
        return subprocess.run(["bash", BOOT], env={**known, **environ}, capture_output=True, text=True, timeout=30)

    def written(self, path: str) -> str:
        return (self.root / path).read_text()

    def console(self) -> str:
        text = (self.root / "dev/console").read_text(errors="replace")
        assert text == (self.root / "var/log/todo-boot.log").read_text(errors="replace")
        return text

    def signal(self) -> dict[str, str]:
        """The one that was sent."""
        body = (self.folder / "signals").read_text(encoding="ascii")
        assert len(body) <= 4096, "CloudFormation takes no more"
        return dict(json.loads(body))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_boots_and_signals_success(machine: Machine) -> None:
    assert machine.boot().returncode == 0, machine.console()
    calls = machine.calls.read_text()
    names = [line.split()[0] for line in calls.splitlines()]
    assert names == ["aws", "dnf", "install.sh", "aws", "systemctl", "systemctl", "curl", "curl"]
    assert "dnf install -y -q python3.13\n" in calls and "--header Content-Type: " in calls
    assert machine.written("etc/todo.env") == "TABLE_NAME=todo-1\nAWS_REGION=us-west-2\n"
    assert machine.written("etc/systemd/system/todo.service") == "[Unit]\n"
    assert machine.signal() == {"Status": "SUCCESS", "Reason": "todo answers", "UniqueId": "i-0abc", "Data": ""}


@pytest.mark.parametrize(
    ("broken", "tries", "reason"),
    [("aws s3", 8, "fetch the bundle"), ("dnf install", 3, "install Python"), ("install.sh /", 1, "install the service"),
     ("aws dynamodb", 8, "read the table todo-1"), ("systemctl daemon-reload", 1, "start the service")],
)  # fmt: skip
def test_fails_when_a_step_fails_and_signals_it(machine: Machine, broken: str, tries: int, reason: str) -> None:
    assert machine.boot(broken=broken.replace("/", str(machine.root / "opt/todo"))).returncode != 0
    calls = machine.calls.read_text().splitlines()
    assert sum(call.startswith(broken) for call in calls) == tries
    assert calls.count("sleep 15") == tries - 1
    signal, failed = machine.signal(), f"boot failed: could not {reason}\n"
    assert signal["Status"] == "FAILURE" and signal["Reason"].startswith(failed) and failed in machine.console()
    # The instance is gone when somebody asks why: the stack's events still have this.
    assert signal["Reason"].endswith("todo: the service's last words")


@pytest.mark.parametrize(
    "said",
    [b"no package \"python3.13\"\tin C:\\repos\n", b"x" * 20_000, "ß☃😀".encode() * 2000, b"\x01\x1b[31m" * 3000, b"\xff" * 5000],
    ids=["quoted", "long", "beyond ASCII", "control", "not UTF-8"],
)  # fmt: skip
def test_a_signal_is_json_of_at_most_4096_bytes_whatever_failed(machine: Machine, said: bytes) -> None:
    assert machine.boot(broken="dnf install", DNF_SAYS=os.fsdecode(said)).returncode != 0
    reason = machine.signal()["Reason"]
    assert reason.startswith("boot failed: could not install Python\n")
    assert "try 3 of 3 failed: dnf install -y -q python3.13\n" in reason
    if len(said) < 100:
        assert said.decode() in reason


@pytest.mark.parametrize("url", [SIGNAL_URL, ""])
def test_later_boots_do_not_need_the_signal(machine: Machine, url: str) -> None:
    assert machine.boot(signal_answer=22, SIGNAL_URL=url).returncode == 0
    assert ("the signal SUCCESS was not taken" in machine.console()) == bool(url)


def test_logs_are_shipped_when_there_is_a_log_group_and_cannot_fill_the_disk(machine: Machine) -> None:
    assert machine.boot(LOG_GROUP="todo-logs").returncode == 0, machine.console()
    calls = machine.calls.read_text()
    assert "amazon-cloudwatch-agent-ctl -a fetch-config" in calls
    assert "dnf install -y -q python3.13 amazon-cloudwatch-agent logrotate\n" in calls
    files = json.loads(machine.written("etc/todo-logs.json"))["logs"]["logs_collected"]["files"]
    shipped = [(each["file_path"], each["log_group_name"]) for each in files["collect_list"]]
    assert shipped == [("/var/log/todo/todo.log", "todo-logs"), ("/var/log/todo-boot.log", "todo-logs")]
    unit = machine.written("etc/systemd/system/todo.service.d/log.conf")
    assert "StandardOutput=append:/var/log/todo/todo.log\n" in unit
    timer = machine.written("etc/systemd/system/logrotate.timer.d/often.conf")
    # The empty line takes the daily run back.
    assert timer == "[Timer]\nOnCalendar=\nOnCalendar=minutely\nAccuracySec=1s\n"
    assert calls.index("daemon-reload") < calls.index("restart logrotate.timer")
    rule = machine.written("etc/logrotate.d/todo")
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
    script = BOOT.read_text()
    steps = re.findall(r"^ +retry (\d+) (\d+) ", script, re.MULTILINE)
    retried = [tries * seconds + (tries - 1) * 15 for tries, seconds in (map(int, step) for step in steps)]
    once = sum(map(int, re.findall(r"(?:^ +timeout|--retry-max-time) (\d+)", script, re.MULTILINE)))
    signalled = 3 * 10 + 1 + 2
    assert (retried, once) == ([225, 330, 185], 90 + 60)
    assert sum(retried) + once + signalled < GRACE.to_seconds()
    [wait] = map(int, re.findall(r'timeout="(\d+)"', (FOLDER / "infra/fleet.py").read_text()))
    # Time for one replacement.
    assert wait > 2 * GRACE.to_seconds()
