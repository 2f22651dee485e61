"""What a first boot makes of the bundle, and what the unit makes of the service."""

import ctypes
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra import bundle
from tests.boot.instance import DRAIN_SECONDS, Instance, get, wait_for

CLONE_NEWNET = 0x40000000
DYNAMIC_USERS = range(61184, 65520)  # systemd.io/UIDS-GIDS
# For root on the instance: "-w" may be written to, "-e" is there. For root in the mounts of the service: neither.
CLOSED = {
    "-w": ("/etc", "/opt/todo", "/proc/irq", "/sys/fs/cgroup", "/usr/bin", "/var/lib"),
    "-e": ("/dev/console", "/home/somebody", "/var/tmp/of-another-service"),
}


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For this machine's CPU; afterwards the tests have a network of their own, because the service's port is fixed."""
    folder = tmp_path_factory.mktemp("wheels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "PLATFORMS", [each.replace("aarch64", platform.machine()) for each in bundle.PLATFORMS])
        bundle.download(folder)
    assert ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0
    return folder


def test_fails_when_a_wheel_is_broken_and_signals_the_reason(wheels: Path, tmp_path: Path) -> None:
    [wheel] = wheels.glob("flask-*")
    content = wheel.read_bytes()
    wheel.write_bytes(content[:-1])
    broken = bundle.pack(wheels)
    wheel.write_bytes(content)
    with Instance(tmp_path, broken) as instance:
        assert instance.run("/user-data").returncode != 0
        assert not instance.answers()
    [signal] = instance.signals
    assert signal["Status"] == "FAILURE"
    assert signal["Reason"].startswith("boot failed: could not install the service\n")
    assert "DO NOT MATCH THE HASHES" in signal["Reason"] and "flask" in signal["Reason"]


@pytest.fixture(scope="session")
def booted(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with Instance(tmp_path_factory.mktemp("instance"), bundle.pack(wheels)) as instance:
        assert instance.run("/user-data").returncode == 0, instance.run("cat /dev/console").stdout
        yield instance


@pytest.fixture
def instance(booted: Instance) -> Instance:
    """Whatever the test before did, its service answers."""
    booted.run("systemctl start todo")
    wait_for(booted.answers)
    return booted


def test_boots_and_signals_success(instance: Instance) -> None:
    assert [(signal["Status"], signal["Reason"]) for signal in instance.signals] == [("SUCCESS", "todo answers")]
    assert '{"status": "ok"}\n\ntodo answers\n' in instance.run("cat /dev/console").stdout


def test_every_process_has_a_user_of_its_own_and_no_capability(instance: Instance) -> None:
    processes = instance.run("cat /sys/fs/cgroup/system.slice/todo.service/cgroup.procs").stdout.split()
    assert len(processes) == 3
    for process in processes:
        lines = instance.run(f"cat /proc/{process}/status").stdout.splitlines()
        status = dict(line.split(":\t", 1) for line in lines)
        assert {int(status[f"Cap{which}"], 16) for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {0}
        assert all(int(user) in DYNAMIC_USERS for user in status["Uid"].split() + status["Gid"].split())
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


@pytest.mark.parametrize(("test", "path"), [(test, path) for test, paths in CLOSED.items() for path in paths])
def test_is_closed_to_the_service_alone(instance: Instance, test: str, path: str) -> None:
    assert instance.run(f"test {test} {path}").returncode == 0
    assert instance.run(f"test {test} {path}", within=instance.show("MainPID")).returncode == 1


def test_the_unit_loses_no_protection(instance: Instance) -> None:
    # systemd's own measure, in tenths, from 0 to 100 for a unit without any. DynamicUser implies some of the lines.
    done = instance.run("systemd-analyze security --no-pager --threshold=12 todo")
    assert done.returncode == 0, done.stdout


def test_kill_9_is_back_within_3_seconds(instance: Instance) -> None:
    killed, start = instance.show("MainPID"), time.monotonic()
    instance.run(f"kill -KILL {killed}")
    wait_for(lambda: instance.show("MainPID") not in ("0", killed))
    wait_for(instance.answers)
    assert time.monotonic() - start < 3


def ask(instance: Instance, pause: float) -> list[tuple[int, str | None]]:
    """The answers of a client that ends before the drain does; it keeps its connection until the service closes it."""
    end, answers = time.monotonic() + DRAIN_SECONDS, []
    with instance.connect() as connection:
        while time.monotonic() < end:
            answers.append(get(connection, "/todo/nobody"))
            time.sleep(pause)
    return answers


def test_a_stop_fails_no_request_and_closes_every_connection(instance: Instance) -> None:
    with ThreadPoolExecutor() as pool:
        clients = [pool.submit(ask, instance, pause) for pause in (0.01, 0.01, 0.5, 0.5)]
        time.sleep(1)
        start = time.monotonic()
        instance.run("systemctl stop todo")
        seconds = time.monotonic() - start
    for client in clients:
        assert {status for status, _ in client.result()} == {404}
        assert (client.result()[0][1], client.result()[-1][1]) == ("keep-alive", "close")
    assert seconds > DRAIN_SECONDS and instance.show("Result") == "success"


def test_a_second_boot_is_harmless(instance: Instance) -> None:
    instance.boot()
    wait_for(instance.answers)
    # Its second run; cloud-init makes only the first.
    assert instance.run("/user-data").returncode == 0
    assert instance.answers()
    assert {signal["Status"] for signal in instance.signals} == {"SUCCESS"}
