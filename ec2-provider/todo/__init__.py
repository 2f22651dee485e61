"""The todo service: a small HTTP API over one DynamoDB table. Its contract is ../openapi.yaml."""

import os

from botocore.exceptions import BotoCoreError, ClientError
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from todo.responses import answer, answer_error, answer_unavailable, log_access, start_clock
from todo.settings import Settings
from todo.store import Store, UnavailableError
from todo.validation import ID, MAX_BODY, read_data, read_page, write_cursor


def create_app(settings: Settings | None = None) -> Flask:
    """Raises SettingsError when a variable is missing or malformed."""
    settings = settings or Settings.read(os.environ)
    store = Store(table=settings.table_name, region=settings.aws_region)
    app = Flask(__name__, static_folder=None)
    # One byte more than is accepted: werkzeug reads a chunked body up to the limit and does not tell that more follows.
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY + 1, PROVIDE_AUTOMATIC_OPTIONS=False)
    app.url_map.merge_slashes = False  # no redirect from //todo to /todo

    @app.post("/todo")
    def create() -> Response:
        todo = store.create(read_data(request))
        return answer(201, todo, Location=f"/todo/{todo['id']}")

    @app.get("/todo")
    def page() -> Response:
        limit, after = read_page(request)
        todos, last = store.page(limit=limit, after=after)
        link = {"Link": f'</todo?limit={limit}&cursor={write_cursor(last)}>; rel="next"'} if last else {}
        return answer(200, todos, **link)

    @app.get("/todo/<todo_id>")
    def get(todo_id: str) -> Response:
        todo = store.get(todo_id) if ID.fullmatch(todo_id) else None
        return answer(200, todo) if todo else answer(404, {"message": "there is no todo with this id"})

    @app.get("/healthz")
    def healthz() -> Response:
        """Calls nothing outside this process: an outage of DynamoDB must not get the instances replaced."""
        if app.config.get("DRAINING"):
            return answer(503, {"message": "draining: send new connections elsewhere"})
        return answer(200, {"status": "ok"})

    app.register_error_handler(HTTPException, answer_error)
    for outage in (BotoCoreError, ClientError, UnavailableError):
        app.register_error_handler(outage, answer_unavailable)
    if settings.access_log == "on":
        app.before_request(start_clock)
        app.after_request(log_access)
    return app
