"""How gunicorn serves the app: `gunicorn -c todo/gunicorn.conf.py`, from the folder that holds todo/."""

import json
import os
import signal
import sys
from typing import Any

from gunicorn import util  # type: ignore[import-untyped]

from todo.settings import THREADS, Settings, SettingsError
from todo.store import ANSWER_WITHIN

try:
    _settings = Settings.read(os.environ)
except SettingsError as problems:  # read before any worker starts, so that it is said once
    print(problems, file=sys.stderr)
    sys.exit(2)

wsgi_app = "todo:create_app()"
proc_name = "todo"
bind = _settings.bind
# A worker for each of the instance's two CPUs; the threads are for requests that wait for DynamoDB.
workers = 2
worker_class = "gthread"  # sync ignores keep-alive
threads = THREADS
keepalive = 360  # seconds; longer than the 350 s of the NLB, which must be the one to close
graceful_timeout = _settings.drain_seconds + int(ANSWER_WITHIN) + 4
limit_request_line = 8190  # bytes; as near as gunicorn comes to the 10,240 that the API accepts
header_map = "drop"  # x_auth_subject must never pass for x-auth-subject
forwarded_allow_ips = ""  # nobody sets SCRIPT_NAME, PATH_INFO or the scheme by a header
control_socket_disable = True

_draining = False


def post_worker_init(worker: Any) -> None:
    """On SIGTERM, go on serving for DRAIN_SECONDS with `Connection: close`, so that clients leave; then stop."""

    def drain(*_: object) -> None:
        global _draining
        _draining = True
        signal.alarm(_settings.drain_seconds)

    if _settings.drain_seconds:
        signal.signal(signal.SIGALRM, worker.handle_exit)
        signal.signal(signal.SIGTERM, drain)


def pre_request(worker: Any, request: Any) -> None:
    if _draining:
        request.force_close()


def _write_error(sock: Any, status: int, reason: str, message: str) -> None:
    """A request that is not HTTP is answered before the app sees it; gunicorn's own answer is an HTML page."""
    body = json.dumps({"message": message or reason}) + "\n"
    head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    util.write_nonblock(sock, f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())


util.write_error = _write_error
