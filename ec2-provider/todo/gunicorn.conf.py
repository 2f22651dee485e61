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
except SettingsError as problems:  # before a worker starts, so that the message comes once
    print(problems, file=sys.stderr)
    sys.exit(2)

wsgi_app = "todo:create_app()"
bind = f"{_settings.host}:{_settings.port}"
workers = 2  # one for each of the instance's CPUs
worker_class = Worker
threads = 400  # one for each request that is arriving; MAX_CONCURRENT_REQUESTS limits the requests in work
keepalive = 360  # seconds; longer than the 350 s of the NLB, so that the NLB closes idle connections
drain_seconds = int(_settings.drain_seconds)
graceful_timeout = drain_seconds + int(DEADLINE_SECONDS) + 4
# Bytes. The API accepts 10,240 for the request line and all headers; 8,190 is gunicorn's maximum for a line.
limit_request_line, limit_request_field_size = 8190, 10_240
header_map = "drop"  # or WSGI would take x_auth_subject for x-auth-subject
forwarded_allow_ips = ""  # no client sets SCRIPT_NAME, PATH_INFO or the scheme by a header
control_socket_disable = True


def post_worker_init(worker: Any) -> None:
    """On SIGTERM, serve for another DRAIN_SECONDS, then stop.

    An NLB opens connections to an instance that stops for one minute after /healthz fails, and for two minutes after a
    deregistration. Auto Scaling waits for the end of the deregistration before it terminates an instance.
    """

    def drain(*_: object) -> None:
        worker.wsgi.config["DRAINING"] = True
        signal.alarm(drain_seconds)

    if drain_seconds:
        signal.signal(signal.SIGALRM, worker.handle_exit)
        signal.signal(signal.SIGTERM, drain)


def _write_error(sock: Any, status: int, reason: str, message: str) -> None:
    """gunicorn answers a request that is not valid HTTP without the app; its own answer is an HTML page."""
    body = json.dumps({"message": message or reason}) + "\n"
    head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    util.write_nonblock(sock, f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())


util.write_error = _write_error
