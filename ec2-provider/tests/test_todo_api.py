"""The HTTP behaviour of the todo service, in process; conftest's client holds each answer against openapi.yaml."""

import json
from dataclasses import replace
from typing import Any
from unittest.mock import Mock, patch

import pytest
from flask import Flask

from tests.conftest import OPENAPI, SETTINGS, ContractClient
from todo import create_app
from todo.store import Store

JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def pages(client: ContractClient, path: str = "/todo") -> list[list[dict[str, str]]]:
    """Every page from this path on, by its links."""
    response = client.get(path)
    following = response.headers.get("Link", "<>").split(">")[0].removeprefix("<")
    return [response.get_json(), *(pages(client, following) if following else [])]


@pytest.mark.parametrize("data", ["buy milk", "Müll ✓ 🎈 \u0000 \u202e", " padded ", "x" * 4096, "🎈" * 4096])
@pytest.mark.parametrize("kind", ["form", "json"])
def test_created_todo_is_read_back(client: ContractClient, kind: str, data: str) -> None:
    body: Any = {kind if kind == "json" else "data": {"data": data}}
    created = client.post("/todo", **body)
    todo = created.get_json()
    assert (created.status_code, created.headers["Location"], todo["data"]) == (201, f"/todo/{todo['id']}", data)
    assert client.get(created.headers["Location"]).get_json() == todo
    assert client.get("/todo").get_json() == [todo]


# A part of the message → the bodies that are answered so, with their content types.
REFUSED: dict[tuple[int, str], list[tuple[bytes, str | None]]] = {
    (400, "data is missing"): [(b"", None), (b"", FORM), (b"dat=x", FORM), (b"{}", JSON)],
    (400, "blank"): [(b"data=", FORM), (b"data=+%09", FORM), (b'{"data": " \\n"}', JSON)],
    (400, "once"): [(b"data=a&data=b", FORM)],
    (400, "UTF-8"): [(b"data=%ff", FORM), (b"data=\xff", FORM)],
    (400, "4096"): [(b"data=" + b"x" * 4097, FORM), (b'{"data": "%s"}' % (b"x" * 4097), JSON)],
    (400, "valid JSON"): [(body, JSON) for body in (b"", b"{", b'{"data": "\xff"}', b"[" * 60_000)],
    (400, "JSON object"): [(b'["data"]', JSON)],
    (400, "string"): [(b'{"data": %s}' % value, JSON) for value in (b"null", b"1", b'["x"]')],
    (400, "unicode"): [(b'{"data": "\\ud800"}', JSON)],
    (413, "Too Large"): [(b"data=" + b"x" * 65_532, FORM)],
    (415, FORM): [(b"data=x", kind) for kind in (None, "text/plain", "multipart/form-data; boundary=b")],
}


@pytest.mark.parametrize(("answer", "sent"), [(answer, each) for answer in REFUSED for each in REFUSED[answer]])
def test_bad_todo_is_refused_and_not_stored(
    client: ContractClient, table: Any, answer: tuple[int, str], sent: tuple[bytes, str | None]
) -> None:
    response = client.post("/todo", data=sent[0], content_type=sent[1])
    assert (response.status_code, answer[1] in response.get_json()["message"]) == (answer[0], True)
    assert table.scan()["Items"] == []


@pytest.mark.parametrize(
    ("query", "named"),
    [(f"limit={limit}", "limit") for limit in ("", "0", "101", "-1", "+5", "1_0", "5.0", " 5", "٣", "x", "%ff", "9" * 999)]
    + [(f"cursor={cursor}", "cursor") for cursor in ("", "x", "é", "NjE3MzBmMjU=", "NjE3MzBmMjV", "AAAAAAAAAAA", "!NjE3MzBmMjU")]
    + [("limit=1&limit=1", "limit"), ("cursor=NjE3MzBmMjU&cursor=NjE3MzBmMjU", "cursor"), ("offset=1", "offset")],
)  # fmt: skip
def test_bad_page_is_refused(client: ContractClient, query: str, named: str) -> None:
    response = client.get(f"/todo?{query}")
    assert (response.status_code, named in response.get_json()["message"]) == (400, True)


def test_pages_hold_every_todo_once(client: ContractClient) -> None:
    made = {client.post("/todo", data={"data": str(n)}).get_json()["id"] for n in range(23)}
    found = pages(client, "/todo?limit=5")
    assert [len(page) for page in found] == [5, 5, 5, 5, 3]
    assert sorted(todo["id"] for page in found for todo in page) == sorted(made)
    assert client.get("/todo?limit=23&cursor=ZmZmZmZmZmY").get_json() == []
    parameters = {each["name"]: each["schema"] for each in OPENAPI["paths"]["/todo"]["get"]["parameters"]}
    default = parameters["limit"]["default"]
    assert [len(page) for page in pages(client)] == [default, 23 - default]


def test_pages_hold_every_todo_once_across_the_scan_limit_of_1_mb(client: ContractClient) -> None:
    made = {client.post("/todo", json={"data": "🎈" * 4096}).get_json()["id"] for _ in range(130)}
    found = pages(client, "/todo?limit=100")
    assert len(found[0]) < 100
    assert sorted(todo["id"] for page in found for todo in page) == sorted(made)


@pytest.mark.parametrize("path", ["/", "/todo/", "/todos", "/todo/0/1", "/healthz/", "/static/x", "/todo/%2e"])
def test_unknown_path_is_404(client: ContractClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(("path", "allowed"), [("/todo", "GET, HEAD, POST"), ("/todo/1", "GET, HEAD"), ("/healthz", "GET, HEAD")])  # fmt: skip
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_method_is_405(client: ContractClient, path: str, allowed: str, method: str) -> None:
    response = client.open(path, method=method)
    assert (response.status_code, sorted(response.headers["Allow"].split(", "))) == (405, allowed.split(", "))


def test_id_that_cannot_be_one_is_404_without_a_call(client: ContractClient, table: Any) -> None:
    table.delete()
    for name in ("x", "0000000", "000000000", "0000000G", "0000000٣", "a" * 3000):
        assert client.get(f"/todo/{name}").status_code == 404
    assert client.get("/todo/00000000").status_code == 503


def test_health_does_not_depend_on_dynamodb(client: ContractClient, table: Any) -> None:
    table.delete()
    assert client.get("/healthz").get_json() == {"status": "ok"}


def test_outage_is_logged(client: ContractClient, table: Any, caplog: pytest.LogCaptureFixture) -> None:
    table.delete()
    assert client.get("/todo", headers={"x-request-id": "r-1"}).headers["Retry-After"] == "1"
    assert "r-1" in caplog.text and "ResourceNotFoundException" in caplog.text


@patch.object(Store, "page", Mock(side_effect=ZeroDivisionError))
def test_unexpected_error_is_a_logged_500(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    response = app.test_client().get("/todo")  # not held against openapi.yaml: nobody may rely on a 500
    assert (response.status_code, response.get_json()) == (500, {"message": "Internal Server Error"})
    assert "ZeroDivisionError" in caplog.text


def test_access_log_is_a_json_line_a_request(client: ContractClient, capfd: pytest.CaptureFixture[str]) -> None:
    headers = {"x-request-id": 'r"1', "x-auth-subject": "anna"}
    response = client.get("/todo?limit=1", headers=headers)
    client.get("/healthz")
    client.get("/nowhere")
    first, second = (json.loads(line) for line in capfd.readouterr().out.splitlines())
    assert first.pop("time").endswith("Z") and first.pop("durationMs") > 0
    assert first == {"requestId": 'r"1', "subject": "anna", "method": "GET", "path": "/todo", "status": 200,
                     "bytes": len(response.data)}  # fmt: skip
    assert (second["status"], "subject" in second) == (404, False)


def test_access_log_can_be_off(table: Any, capfd: pytest.CaptureFixture[str]) -> None:
    create_app(replace(SETTINGS, access_log="off")).test_client().get("/todo")
    assert capfd.readouterr().out == ""
