"""The todo service: a small HTTP API over one DynamoDB table. Its contract is ../openapi.yaml."""

import os
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError
from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException

from todo.responses import answer, log_access, refuse, start_clock, unavailable
from todo.settings import Settings
from todo.store import BusyError, NoFreeIdError, Store
from todo.validation import ID, MAX_BODY, read_data, read_page, write_cursor


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
    app.add_url_rule("/healthz", "healthz", healthz)
    app.register_error_handler(HTTPException, refuse)
    for outage in (BotoCoreError, ClientError, BusyError, NoFreeIdError):
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


def healthz() -> Response:
    """Asks nothing but this process: an outage of DynamoDB must not get the instances replaced."""
    if current_app.config.get("DRAINING"):
        return answer(503, {"message": "draining: send new connections elsewhere"})
    return answer(200, {"status": "ok"})
