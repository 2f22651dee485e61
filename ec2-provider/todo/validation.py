"""Checks of a client's request: they return a value, or raise an error that says what is wrong with the request."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import parse_qs

from flask import Request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

MAX_BODY = 64 * 1024  # bytes; MAX_DATA characters fit, even when JSON escapes all of them
MAX_DATA = 4096  # characters
LIMIT, MAX_LIMIT = 20, 100  # todos a page
ID = re.compile(r"[0-9a-f]{8}")
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"


def read_data(request: Request) -> str:
    """The text of the todo to create."""
    body = request.get_data()
    if len(body) > MAX_BODY:
        raise RequestEntityTooLarge
    kind = request.mimetype or ("" if body else _FORM)
    if kind not in (_FORM, _JSON):
        raise UnsupportedMediaType(f"the content type must be {_FORM} or {_JSON}")
    fields = _form_fields(body) if kind == _FORM else _json_fields(body)
    if "data" not in fields:
        raise BadRequest("data is missing")
    data = fields["data"]
    if not isinstance(data, str):
        raise BadRequest("data must be a string")
    if not data.strip():
        raise BadRequest("data must not be blank")
    if len(data) > MAX_DATA:
        raise BadRequest(f"data must not be longer than {MAX_DATA} characters")
    if re.search("[\ud800-\udfff]", data):
        raise BadRequest("data must be valid unicode: it has half of a surrogate pair")
    return data


def _form_fields(body: bytes) -> Mapping[str, object]:
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, errors="strict")
    except ValueError:
        raise BadRequest("the form is not valid UTF-8") from None
    if len(fields.get("data", "")) > 1:
        raise BadRequest("data must be given once")
    return {name: values[0] for name, values in fields.items()}


def _json_fields(body: bytes) -> Mapping[str, object]:
    try:
        fields = json.loads(body.decode())
    except (ValueError, RecursionError):  # also for invalid UTF-8 and too deep nesting
        raise BadRequest("the body is not valid JSON") from None
    if not isinstance(fields, dict):
        raise BadRequest("the body must be a JSON object")
    return fields


def read_page(request: Request) -> tuple[int, str | None]:
    """How many todos to list, and the id after which the page starts."""
    for name, values in request.args.lists():
        if name not in ("limit", "cursor"):
            raise BadRequest(f"unknown parameter {name!r}: expected limit or cursor")
        if len(values) > 1:
            raise BadRequest(f"{name} must be given once")
    limit = request.args.get("limit", str(LIMIT))
    if not re.fullmatch(r"[1-9][0-9]?|100", limit):
        raise BadRequest(f"limit must be a whole number from 1 to {MAX_LIMIT}")
    cursor = request.args.get("cursor")
    return int(limit), None if cursor is None else _read_cursor(cursor)


def write_cursor(todo_id: str) -> str:
    """Opaque, so that clients follow links instead of building them."""
    return urlsafe_b64encode(todo_id.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> str:
    with suppress(ValueError):
        todo_id = urlsafe_b64decode(f"{cursor}=").decode()
        if ID.fullmatch(todo_id) and write_cursor(todo_id) == cursor:
            return todo_id
    raise BadRequest('cursor must be one that a Link header with rel="next" gave')
