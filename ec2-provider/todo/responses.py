"""The service's answers, which are always JSON, and its access log, one line a request."""

import json
import sys
import time
from datetime import UTC, datetime

from flask import Response, current_app, g, request
from werkzeug.exceptions import HTTPException


def answer(status: int, body: object, **headers: str) -> Response:
    text = json.dumps(body, ensure_ascii=False) + "\n"
    return Response(text, status, headers, content_type="application/json")


def answer_error(error: HTTPException) -> Response:
    """Flask calls it with a 500 for an unexpected exception too, after it has logged the traceback."""
    message = vars(error).get("description", error.name)  # werkzeug's own descriptions are prose for browsers
    allow = {name: value for name, value in error.get_headers() if name == "Allow"}
    return answer(error.code or 500, {"message": message}, **allow)


def answer_unavailable(error: Exception) -> Response:
    request_id = request.headers.get("x-request-id", "")
    current_app.logger.error("request %r: DynamoDB did not serve it: %r", request_id, error)
    return answer(503, {"message": "the todos cannot be reached, try again"}, **{"Retry-After": "1"})


def start_clock() -> None:
    g.started = time.perf_counter()


def log_access(response: Response) -> Response:
    """One JSON line a request; none for health checks, which would be most of the log."""
    if request.path != "/healthz":
        subject = request.headers.get("x-auth-subject")
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "requestId": request.headers.get("x-request-id", ""),
            **({} if subject is None else {"subject": subject}),
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "bytes": response.content_length,
            "durationMs": round((time.perf_counter() - g.started) * 1000, 1),
        }
        sys.stdout.write(json.dumps(line) + "\n")  # one write: print() would let threads mix their lines
        sys.stdout.flush()
    return response
