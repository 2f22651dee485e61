"""How gunicorn serves the app: `gunicorn -c todo/gunicorn.conf.py`, from the folder that holds todo/."""

import json
import os
import signal
import sys
from typing import Any

from gunicorn import util  # type: ignore[import-untyped]

from todo.settings import Settings, SettingsError
from todo.store import DEADLINE_SECONDS
from todo.worker import Worker

try:
    _settings = Settings.read(os.environ)
except SettingsError as problems:  # read before any worker starts, so that it is said once
    print(problems, file=sys.stderr)
    sys.exit(2)

wsgi_app = "todo:create_app()"
bind = _settings.bind
workers = 2  # one for each of the instance's CPUs
worker_class = Worker
threads = 400  # one for each request that is still arriving; todo/worker.py says how many are worked on
keepalive = 360  # seconds; longer than the 350 s of the NLB, which must be the one to close
graceful_timeout = _settings.drain_seconds + int(DEADLINE_SECONDS) + 4
# Bytes. The API accepts 10,240 for the request line and all headers; gunicorn takes no longer line than this.
limit_request_line, limit_request_field_size = 8190, 10_240
header_map = "drop"  # x_auth_subject must never pass for x-auth-subject
forwarded_allow_ips = ""  # nobody sets SCRIPT_NAME, PATH_INFO or the scheme by a header
control_socket_disable = True


def post_worker_init(worker: Any) -> None:
    """On SIGTERM, go on serving for DRAIN_SECONDS; only then stop.

    An NLB goes on opening connections to an instance that stops: for a minute after /healthz fails, for two after a
    deregistration, which Auto Scaling waits for before it terminates an instance.
    """

    def drain(*_: object) -> None:
        worker.wsgi.config["DRAINING"] = True
        signal.alarm(_settings.drain_seconds)

    if _settings.drain_seconds:
        signal.signal(signal.SIGALRM, worker.handle_exit)
        signal.signal(signal.SIGTERM, drain)


def pre_request(worker: Any, request: Any) -> None:
    if worker.wsgi.config.get("DRAINING"):
        request.force_close()  # answers with `Connection: close`


def _write_error(sock: Any, status: int, reason: str, message: str) -> None:
    """A request that is not HTTP is answered before the app sees it; gunicorn's own answer is an HTML page."""
    body = json.dumps({"message": message or reason}) + "\n"
    head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    util.write_nonblock(sock, f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())


util.write_error = _write_error
