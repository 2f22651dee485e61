"""The rehearsal's environment: the server and its record of calls, the people with their shells, the copies of the repo."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import boto3

from tests.conftest import FOLDERS, ROOT, copy_sources

ECS, EC2, GATEWAY, STRANGER = "222222222222", "333333333333", "111111111111", "444444444444"
NEWCOMER = "555555555555"  # has never been bootstrapped
FOLDER = dict(zip((ECS, EC2, GATEWAY), FOLDERS, strict=True))
REGION = "us-west-2"
# What belongs to the person at this machine, or to the make that runs the tests, must not reach the rehearsal.
PERSONAL = (
    *("AWS_", "CDK_", "ECS_", "EC2_", "GATEWAY_", "API_GATEWAY_", "DOGNAME_", "TODO_", "AZ_IDS", "IMAGE_TAG"),
    *("SERVICES", "UNKNOWN", "BUNDLE", "PROFILE", "APPROVAL", "DOCKER", "ALARM_TOPIC_ARN", "TABLE_NAME"),
    *("MAKE", "MFLAGS"),
    "CI",  # with it the CDK CLI writes to other streams than to a person's terminal
    "PYTHONDONTWRITEBYTECODE",  # compiling the CDK anew would double the time of every synth
)
READS = ("Describe", "Get", "List", "Head", "HEAD ", "GET ", "AssumeRole", "BatchGet", "BatchCheck")
WRONG = "com.amazonaws.vpce.us-west-2.vpce-svc-0123456789abcdef0"  # no service of this name is anywhere
Shell = dict[str, str]


def access_key(account: str) -> str:
    return f"AKIA{account}TEST"


@dataclass
class Environment:
    home: Path
    server: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        # A name: S3's SDKs put the bucket before a host name, never before an address.
        self.endpoint = f"http://localhost:{self.port}"
        self.record = self.home / "record.jsonl"
        self.record.touch()
        lines = (
            f"[profile {name}]\naws_access_key_id = {access_key(account)}\naws_secret_access_key = unchecked\n"
            for name, account in (("dogs", ECS), ("todos", EC2), ("platform", GATEWAY), ("newcomer", NEWCOMER))
        )
        (self.home / "config").write_text("".join(lines))

    def __enter__(self) -> Environment:
        command = [sys.executable, "-m", f"{__package__}.server", str(self.port), str(self.record)]
        with (self.home / "server.log").open("wb") as log:
            self.server = subprocess.Popen(command, cwd=ROOT, env=own(), stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while self.server.poll() is None and time.monotonic() < deadline:
            try:
                urlopen(f"{self.endpoint}/moto-api/").close()
                return self
            except OSError:
                time.sleep(0.1)
        self.server.kill()
        raise RuntimeError(f"the server did not start: {(self.home / 'server.log').read_text()}")

    def __exit__(self, *_: object) -> None:
        self.server.terminate()
        self.server.wait(10)

    def shell(self, keys: str | None, account: str = "", **more: str) -> Shell:
        """What somebody who deploys to `account` as in the blog has exported: its keys, or those of another, or none."""
        return shell(self.home, self.endpoint) | (exported(keys) if keys else {}) | {
            "AWS_ACCOUNT": account or keys or "", "AWS_REGION": REGION, "APPROVAL": "never",
            "API_GATEWAY_ACCOUNT_ARN": f"arn:aws:iam::{GATEWAY}:root",
        } | more  # fmt: skip

    def profiles(self) -> Shell:
        """What somebody with a profile for each account has exported, for all three in one go."""
        return shell(self.home, self.endpoint) | {"AWS_REGION": REGION, "APPROVAL": "never"} | {
            "ECS_ACCOUNT": ECS, "EC2_ACCOUNT": EC2, "GATEWAY_ACCOUNT": GATEWAY,
            "ECS_PROFILE": "dogs", "EC2_PROFILE": "todos", "GATEWAY_PROFILE": "platform",
        }  # fmt: skip

    def client(self, account: str, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload] # which service is data
            service,
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=access_key(account),
            aws_secret_access_key="unchecked",
        )

    def mark(self) -> int:
        """A place in the record, for `calls`."""
        return len(self.record.read_text().splitlines())

    def calls(self, since: int = 0) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.record.read_text().splitlines()[since:]]

    def writes(self, since: int = 0) -> list[dict[str, str]]:
        return [call for call in self.calls(since) if not call["action"].startswith(READS)]


def own() -> Shell:
    """The environment of this process without what is personal."""
    return {key: value for key, value in os.environ.items() if not key.startswith(PERSONAL)}


def shell(home: Path, endpoint: str) -> Shell:
    """Anybody's shell in the rehearsal: every SDK calls `endpoint`, and nobody has credentials yet."""
    return own() | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CONFIG_FILE": str(home / "config"),  # a profile for each account, none by default
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-such-file"),
        "AWS_EC2_METADATA_DISABLED": "true",  # else looking for credentials takes seconds
        "CDK_HOME": str(home / "cdk"),  # the CLI keeps a cache of keys and accounts there
        "NODE_COMPILE_CACHE": str(ROOT / ".local/node"),  # half a second less for every call of the CLI
        "CDK_DISABLE_VERSION_CHECK": "1",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CDK_VALIDATION": "false",  # `make lint` does that; here it would double the time of every synth
        "DOCKER": f"{sys.executable} {Path(__file__).with_name('docker_stand_in.py')}",
    }  # fmt: skip


def exported(account: str) -> Shell:
    return {"AWS_ACCESS_KEY_ID": access_key(account), "AWS_SECRET_ACCESS_KEY": "unchecked"}


@dataclass
class Checkout:
    """A copy of the repository on somebody's machine. What is installed is the working tree's; all else is its own."""

    root: Path

    def __post_init__(self) -> None:
        for name in ("Makefile", "tools", *FOLDERS):
            copy_sources(name, self.root)
        (ROOT / "ec2-provider/.build/wheels").mkdir(parents=True, exist_ok=True)
        for name in (".venv", "ec2-provider/.build/wheels", *(f"{each}/.venv" for each in FOLDERS)):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).symlink_to(ROOT / name)
        for folder in FOLDERS:
            (self.root / folder / "node_modules").symlink_to(ROOT / folder / "node_modules")
        self.docker = self.root / "docker.txt"
        self.docker.touch()

    def run(self, command: str, environ: Shell, folder: str = ".") -> subprocess.CompletedProcess[str]:
        """The command as somebody types it, without a terminal; the record of DOCKER is `docker`."""
        return subprocess.run(
            command.split(), cwd=self.root / folder, env=environ | {"DOCKER_RECORD": str(self.docker)},
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def outputs(self, account: str) -> dict[str, str]:
        """What the last deploy to `account` from here printed."""
        folder = FOLDER[account]
        found = json.loads((self.root / folder / f".outputs/{folder}.json").read_text())
        return dict(found[folder])
