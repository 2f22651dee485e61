"""What the service says: JSON to clients, whatever happens, and one line a request to its log."""

import json
import sys
import time
from datetime import UTC, datetime

from flask import Response, current_app, g, request
from werkzeug.exceptions import HTTPException


def answer(status: int, body: object, **headers: str) -> Response:
    text = json.dumps(body, ensure_ascii=False) + "\n"
    return Response(text, status, headers, content_type="application/json")


def refuse(error: HTTPException) -> Response:
    """Also answers an unexpected exception, which Flask has logged with its traceback, as a 500."""
    message = vars(error).get("description", error.name)  # werkzeug's own descriptions are prose for browsers
    allow = {name: value for name, value in error.get_headers() if name == "Allow"}
    return answer(error.code or 500, {"message": message}, **allow)


def unavailable(error: Exception) -> Response:
    request_id = request.headers.get("x-request-id", "")
    current_app.logger.error("request %r: DynamoDB did not serve it: %r", request_id, error)
    return answer(503, {"message": "the todos cannot be reached, try again"}, **{"Retry-After": "1"})


def start_clock() -> None:
    g.started = time.perf_counter()


def log_access(response: Response) -> Response:
    """One JSON line a request; health checks would drown the rest."""
    if request.path == "/healthz":
        return response
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
    sys.stdout.write(json.dumps(line) + "\n")  # in one piece: print() lets threads mix their lines
    sys.stdout.flush()
    return response
