"""An instance on this machine: the stack's user data under systemd as PID 1, with stand-ins for `aws` and `dnf` alone."""

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any, Self

from werkzeug import Request, Response
from werkzeug.serving import make_server

from tests.conftest import FOLDER

TREE, TEMPLATE = FOLDER / ".local/boot/tree.tar", FOLDER / ".local/cdk.out/ec2-provider.template.json"
DRAIN_SECONDS = 3  # behind a load balancer, the service needs its 100
FILES = {
    "usr/local/bin/aws": '#!/bin/sh\n[ "$1" != s3 ] || cp /bundle.tar.gz "$5"\n',
    "usr/local/bin/dnf": '#!/bin/sh\ncommand -v "$4"\n',
    "home/somebody": "",
    "var/tmp/of-another-service": "",
    "var/lib/cloud/data/instance-id": "i-0abc\n",
    "etc/systemd/system/todo.service.d/drain.conf": f"[Service]\nEnvironment=DRAIN_SECONDS={DRAIN_SECONDS}\n",
}


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def get(connection: HTTPConnection, path: str) -> tuple[int, str | None]:
    """Status and Connection header."""
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    return response.status, response.headers["Connection"]


class Instance:
    """It shares the network of this process. `signals` has what the wait condition took."""

    def __init__(self, folder: Path, bundle: bytes) -> None:
        self.signals: list[dict[str, str]] = []
        # On every address: 127.0.0.1 is there when systemd has set the loopback device up.
        self.wait_condition = make_server("0.0.0.0", 0, Request.application(self._take_signal))
        Thread(target=self.wait_condition.serve_forever, daemon=True).start()
        for name, text in {**FILES, "user-data": self._user_data()}.items():
            path = folder / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        (folder / "files/bundle.tar.gz").write_bytes(bundle)
        self.init = folder / "init"
        machine = Path(__file__).with_name("machine.sh")
        command = ["unshare", "--mount", "--uts", "--ipc", str(machine), str(TREE), str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE)

    def __enter__(self) -> Self:
        self.boot()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()  # the end of its input ends it
        self.wait_condition.shutdown()
        self.wait_condition.server_close()

    def _take_signal(self, request: Request) -> Response:
        """As S3, refuses a header that the signature of the URL does not cover."""
        if request.content_type:
            return Response(status=403)
        self.signals.append(json.loads(request.data))
        return Response()

    def _user_data(self) -> str:
        """The template's, as CloudFormation resolves it."""
        resources = json.loads(TEMPLATE.read_text())["Resources"]
        [template] = [each for each in resources.values() if each["Type"] == "AWS::EC2::LaunchTemplate"]
        parts = template["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Join"][1]
        url = f"http://127.0.0.1:{self.wait_condition.port}/?X-Amz-Signature=a&b"
        values = {"AWS::DynamoDB::Table": "todo", "AWS::CloudFormation::WaitConditionHandle": url}
        return "".join(part if isinstance(part, str) else values[resources[part["Ref"]]["Type"]] for part in parts)

    def boot(self) -> None:
        """The first time, and again after a power cut."""
        self.init.unlink(missing_ok=True)
        pipe: Any = self.process.stdin
        pipe.write(b"\n")
        pipe.flush()
        wait_for(lambda: self.init.exists() and self.init.read_text())
        wait_for(lambda: self.run("systemctl is-system-running --wait").returncode == 0)

    def run(self, command: str, within: str = "") -> subprocess.CompletedProcess[str]:
        """As root, outside of every unit, or within the mounts of the process `within`."""
        enter = f"nsenter --target={self.init.read_text().strip()} --all"
        enter += f" nsenter --target={within} --mount" if within else ""
        environ = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"}
        words = [*enter.split(), "bash", "-c", command]
        return subprocess.run(words, env=environ, capture_output=True, text=True, timeout=120)

    def show(self, name: str) -> str:
        """A property of the unit."""
        return self.run(f"systemctl show --value --property={name} todo").stdout.strip()

    def connect(self) -> closing[HTTPConnection]:
        return closing(HTTPConnection("127.0.0.1", 8080, timeout=30))

    def answers(self) -> bool:
        with suppress(OSError), self.connect() as connection:
            return get(connection, "/healthz")[0] == 200
        return False
