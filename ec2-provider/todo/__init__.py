"""The todo service: a small HTTP API over one DynamoDB table. Its contract is ../openapi.yaml."""

import json
import os
import sys
import time
from datetime import UTC, datetime
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError
from flask import Flask, Response, current_app, g, request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from werkzeug.exceptions import HTTPException

from todo.inputs import ID, MAX_BODY, read_data, read_page, write_cursor
from todo.settings import Settings
from todo.store import NoFreeIdError, Store


def create_app(settings: Settings | None = None) -> Flask:
    """Raises SettingsError when the environment lacks something."""
    settings = settings or Settings.read(os.environ)
    store = Store(table=settings.table_name, region=settings.region)
    app = Flask(__name__, static_folder=None)
    # One byte more than is accepted: of a chunked body werkzeug reads up to the limit and leaves the rest unseen.
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY + 1, PROVIDE_AUTOMATIC_OPTIONS=False)
    app.url_map.merge_slashes = False  # a path is right or 404, never redirected
    app.add_url_rule("/todo", "create", partial(create, store), methods=["POST"])
    app.add_url_rule("/todo", "page", partial(page, store))
    app.add_url_rule("/todo/<todo_id>", "get", partial(get, store))
    app.add_url_rule("/healthz", "healthz", lambda: answer(200, {"status": "ok"}))
    app.register_error_handler(HTTPException, refuse)
    app.register_error_handler(ParseException, refuse_body)
    for outage in (BotoCoreError, ClientError, NoFreeIdError):
        app.register_error_handler(outage, unavailable)
    if settings.access_log:
        app.before_request(start_clock)
        app.after_request(log_access)
    return app


def create(store: Store) -> Response:
    todo = store.create(read_data(request))
    return answer(201, todo, Location=f"/todo/{todo['id']}")


def page(store: Store) -> Response:
    limit, after = read_page(request)
    todos, last = store.page(limit=limit, after=after)
    if last is None:
        return answer(200, todos)
    return answer(200, todos, Link=f'</todo?limit={limit}&cursor={write_cursor(last)}>; rel="next"')


def get(store: Store, todo_id: str) -> Response:
    todo = store.get(todo_id) if ID.fullmatch(todo_id) else None
    return answer(200, todo) if todo else answer(404, {"message": "there is no todo with this id"})


def answer(status: int, body: object, **headers: str) -> Response:
    text = json.dumps(body, ensure_ascii=False) + "\n"
    return Response(text, status, headers, content_type="application/json")


def refuse(error: HTTPException) -> Response:
    """Also answers an unexpected exception, which Flask has logged with its traceback, as a 500."""
    message = vars(error).get("description", error.name)  # werkzeug's own descriptions are prose for browsers
    allow = {name: value for name, value in error.get_headers() if name == "Allow"}
    return answer(error.code or 500, {"message": message}, **allow)


def refuse_body(error: ParseException) -> Response:
    """Chunks are parsed as the body is read, in the midst of a request."""
    return answer(400, {"message": f"the body is not valid HTTP: {error}"})


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
