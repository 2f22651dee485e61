"""An instance on this machine: the stack's user data under systemd as PID 1, with stand-ins for `aws` and `dnf` alone."""

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self

from tests.conftest import FOLDER

TREE, TEMPLATE = FOLDER / ".local/boot/tree.tar", FOLDER / ".local/cdk.out/ec2-provider.template.json"
DRAIN_SECONDS = 3  # a load balancer needs the 100 of the unit
FILES = {
    "usr/local/bin/aws": '#!/bin/sh\n[ "$1" != s3 ] || cp /bundle.tar.gz "$5"\n',
    "usr/local/bin/dnf": '#!/bin/sh\ncommand -v "$4"\n',
    "home/somebody": "",
    "var/tmp/of-another-service": "",
    "var/lib/cloud/data/instance-id": "i-0abc\n",
    "etc/systemd/system/todo.service.d/drain.conf": f"[Service]\nEnvironment=DRAIN_SECONDS={DRAIN_SECONDS}\n",
}


def wait_for(condition: Callable[[], Any]) -> Any:
    """The first true value of `condition`."""
    deadline = time.monotonic() + 30
    while not (value := condition()):
        assert time.monotonic() < deadline, f"still {value!r}"
        time.sleep(0.02)
    return value


def get(connection: HTTPConnection, path: str) -> tuple[int, str | None]:
    """Status and Connection header."""
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    return response.status, response.headers["Connection"]


class WaitCondition(BaseHTTPRequestHandler):
    """As S3, refuses a request with a header that the signature of the URL does not cover."""

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        taken = "Content-Type" not in self.headers
        if taken:
            self.server.signals.append(json.loads(body))  # type: ignore[attr-defined]
        self.send_response(200 if taken else 403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Instance:
    """It shares the network of this process."""

    def __init__(self, folder: Path, bundle: bytes) -> None:
        # On every address: systemd brings the loopback device up.
        self.server = HTTPServer(("", 0), WaitCondition)
        self.signals: list[dict[str, str]] = []
        self.server.signals = self.signals  # type: ignore[attr-defined]
        Thread(target=self.server.serve_forever, daemon=True).start()
        for name, text in {**FILES, "user-data": self._user_data()}.items():
            path = folder / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        (folder / "files/bundle.tar.gz").write_bytes(bundle)
        self.init = folder / "init"
        command = ["unshare", "--mount", "--uts", "--ipc", Path(__file__).with_name("machine.sh"), TREE, folder]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        self.boot()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()  # the end of its input ends it
        self.server.shutdown()
        self.server.server_close()

    def _user_data(self) -> str:
        """The template's, as CloudFormation resolves it."""
        resources = json.loads(TEMPLATE.read_text())["Resources"]
        [template] = [each for each in resources.values() if each["Type"] == "AWS::EC2::LaunchTemplate"]
        parts = template["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Join"][1]
        url = f"http://127.0.0.1:{self.server.server_port}/?X-Amz-Signature=a&b"
        values = {"AWS::DynamoDB::Table": "todo", "AWS::CloudFormation::WaitConditionHandle": url}
        return "".join(part if isinstance(part, str) else values[resources[part["Ref"]]["Type"]] for part in parts)

    def boot(self) -> None:
        """The first time, and again after a power cut."""
        self.init.unlink(missing_ok=True)
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        wait_for(lambda: self.init.exists() and self.init.read_text())
        wait_for(lambda: self.run("systemctl", "is-system-running", "--wait").returncode == 0)

    def run(self, *command: str, within: str = "") -> subprocess.CompletedProcess[str]:
        """As root, outside of every unit, or within the mounts of the process `within`."""
        enter = ["nsenter", f"--target={self.init.read_text().strip()}", "--all"]
        enter += ["nsenter", f"--target={within}", "--mount"] if within else []
        environ = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"}
        return subprocess.run([*enter, *command], env=environ, capture_output=True, text=True, timeout=120)

    def run_user_data(self) -> subprocess.CompletedProcess[str]:
        return self.run("bash", "/user-data")

    def show(self, name: str) -> str:
        """A property of the unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", "todo").stdout.strip()

    def connect(self) -> closing[HTTPConnection]:
        return closing(HTTPConnection("127.0.0.1", 8080, timeout=30))

    def answers(self) -> bool:
        with self.connect() as connection:
            try:
                return get(connection, "/healthz")[0] == 200
            except OSError:
                return False
