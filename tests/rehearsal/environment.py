"""The rehearsal's environment: the server and its record of calls, the people with their shells, the copies of the repo."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from tests.conftest import FOLDERS, ROOT, checkout
from tests.processes import Part

ECS, EC2, GATEWAY, STRANGER = "222222222222", "333333333333", "111111111111", "444444444444"
NEWCOMER = "555555555555"  # has never been bootstrapped
FOLDER = dict(zip((ECS, EC2, GATEWAY), FOLDERS, strict=True))
PROFILES = {"dogs": ECS, "todos": EC2, "platform": GATEWAY, "newcomer": NEWCOMER}
REGION = "us-west-2"
# The only variables of the person at this machine that reach the rehearsal: what a program needs to run and to install.
NEEDED = ("PATH", "HOME", "LANG", "LC_", "TMPDIR", "UV", "PIP_", "SSL_", "NODE_EXTRA_CA_CERTS", "npm_config_")
READS = ("Describe", "Get", "List", "Filter", "Head", "HEAD ", "GET ", "AssumeRole", "BatchGet", "BatchCheck")
Shell = dict[str, str]


def access_key(account: str) -> str:
    return f"AKIA{account}TEST"


def own() -> Shell:
    """The environment of this process without what is a person's own."""
    return {key: value for key, value in os.environ.items() if key.startswith(NEEDED)}


class Environment:
    def __init__(self, home: Path) -> None:
        self.record, config = home / "record.jsonl", home / "config"
        self.record.touch()
        profile = "[profile {}]\naws_access_key_id = {}\naws_secret_access_key = unchecked\n"
        config.write_text("".join(profile.format(name, access_key(account)) for name, account in PROFILES.items()))
        command = f"{sys.executable} -m tests.rehearsal.server {{port}} {self.record}"
        self.server = Part(home / "server.log", ".", command, **own())
        # A name: S3's SDKs put the bucket before a host name, never before an address.
        self.endpoint = f"http://localhost:{self.server.port}"
        # Anybody's shell: every SDK calls `endpoint`, and nobody has credentials.
        self.anybody = own() | {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "APPROVAL": "never",
            "AWS_CONFIG_FILE": str(config),  # a profile for each account, none by default
            "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-such-file"),
            "AWS_EC2_METADATA_DISABLED": "true",  # else looking for credentials takes seconds
            "CDK_HOME": str(home / "cdk"),  # the CLI keeps a cache of keys and accounts there
            "NODE_COMPILE_CACHE": str(ROOT / ".local/node"),  # half a second less for every call of the CLI
            "CDK_DISABLE_VERSION_CHECK": "1",
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_VALIDATION": "false",  # `make lint` does that; here it would double the time of every synth
            "DOCKER": f"{sys.executable} {Path(__file__).with_name('docker_stand_in.py')}",
        }

    def shell(self, keys: str | None, account: str = "", **more: str) -> Shell:
        """Somebody who deploys to `account` as in the blog has exported its keys, or those of another account, or none."""
        gateway = f"arn:aws:iam::{GATEWAY}:root"
        settings = {"AWS_ACCOUNT": account or keys or "", "API_GATEWAY_ACCOUNT_ARN": gateway}
        return self.anybody | settings | (exported(keys) if keys else {}) | more

    def profiles(self) -> Shell:
        """Somebody with a profile for each account has exported this, for all three in one go."""
        return self.anybody | {
            "ECS_ACCOUNT": ECS, "EC2_ACCOUNT": EC2, "GATEWAY_ACCOUNT": GATEWAY,
            "ECS_PROFILE": "dogs", "EC2_PROFILE": "todos", "GATEWAY_PROFILE": "platform",
        }  # fmt: skip

    def client(self, account: str, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload] # which service is data
            service, region_name=REGION, endpoint_url=self.endpoint,
            aws_access_key_id=access_key(account), aws_secret_access_key="unchecked",
        )  # fmt: skip

    def allow_vcpus(self, value: float) -> None:
        quotas = self.client(EC2, "service-quotas")
        quotas.request_service_quota_increase(ServiceCode="ec2", QuotaCode="L-1216C47A", DesiredValue=value)

    def mark(self) -> int:
        """A place in the record, for `calls`."""
        return len(self.record.read_text().splitlines())

    def calls(self, since: int = 0) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.record.read_text().splitlines()[since:]]

    def writes(self, since: int = 0) -> list[dict[str, str]]:
        return [call for call in self.calls(since) if not call["action"].startswith(READS)]


def exported(account: str) -> Shell:
    return {"AWS_ACCESS_KEY_ID": access_key(account), "AWS_SECRET_ACCESS_KEY": "unchecked"}


@dataclass
class Checkout:
    """A copy of the repository on somebody's machine, which shares the working tree's installed packages and nothing else."""

    root: Path

    def __post_init__(self) -> None:
        checkout(self.root)
        self.docker = self.root / "docker.txt"
        self.docker.touch()

    def run(self, command: str, environ: Shell, folder: str = ".") -> subprocess.CompletedProcess[str]:
        """The command as somebody types it, without a terminal; DOCKER writes its record to `docker`."""
        # The folder's own npx and python come first, as in its Makefile.
        path = f"{self.root / folder}/.venv/bin:{environ['PATH']}" if folder != "." else environ["PATH"]
        return subprocess.run(
            command.split(), cwd=self.root / folder, env=environ | {"DOCKER_RECORD": str(self.docker), "PATH": path},
            capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def outputs(self, account: str) -> dict[str, str]:
        """The outputs of the last deploy to `account` from here."""
        folder = FOLDER[account]
        found = json.loads((self.root / folder / f".outputs/{folder}.json").read_text())
        return dict(found[folder])
