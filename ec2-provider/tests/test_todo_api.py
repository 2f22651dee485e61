"""The HTTP behaviour of the todo service, in process; conftest's client holds each answer against openapi.yaml."""

import json
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from tests.conftest import OPENAPI, SETTINGS, ContractClient
from todo import create_app
from todo.store import Store

JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def pages(client: ContractClient, path: str = "/todo") -> list[list[dict[str, str]]]:
    """Every page from this path on, by its links."""
    found = []
    while path:
        response = client.get(path)
        found.append(response.get_json())
        path = response.headers.get("Link", "<>").split(">")[0].removeprefix("<")
        assert len(found) < 50
    return found


@pytest.mark.parametrize("data", ["buy milk", "Müll ✓ 🎈 \u0000 \u202e", " padded ", "x" * 4096, "🎈" * 4096])
@pytest.mark.parametrize("kind", ["form", "json"])
def test_created_todo_is_read_back(client: ContractClient, kind: str, data: str) -> None:
    body: Any = {kind if kind == "json" else "data": {"data": data}}
    created = client.post("/todo", **body)
    assert created.status_code == 201
    assert created.get_json()["data"] == data
    assert created.headers["Location"] == f"/todo/{created.get_json()['id']}"
    assert client.get(created.headers["Location"]).get_json() == created.get_json()
    assert client.get("/todo").get_json() == [created.get_json()]


@pytest.mark.parametrize(
    ("body", "kind", "status", "message"),
    [
        (b"", None, 400, "data is missing"),
        (b"", FORM, 400, "data is missing"),
        (b"dat=x", FORM, 400, "data is missing"),
        (b"data=", FORM, 400, "blank"),
        (b"data=+%09", FORM, 400, "blank"),
        (b"data=a&data=b", FORM, 400, "once"),
        (b"data=%ff", FORM, 400, "UTF-8"),
        (b"data=\xff", FORM, 400, "UTF-8"),
        (b"data=" + b"x" * 4097, FORM, 400, "4096"),
        (b"data=" + b"x" * 65_532, FORM, 413, "Too Large"),
        (b"", JSON, 400, "valid JSON"),
        (b"{", JSON, 400, "valid JSON"),
        (b'{"data": "\xff"}', JSON, 400, "valid JSON"),
        (b"[" * 60_000, JSON, 400, "valid JSON"),
        (b'["data"]', JSON, 400, "JSON object"),
        (b"{}", JSON, 400, "data is missing"),
        (b'{"data": null}', JSON, 400, "string"),
        (b'{"data": 1}', JSON, 400, "string"),
        (b'{"data": ["x"]}', JSON, 400, "string"),
        (b'{"data": " \\n"}', JSON, 400, "blank"),
        (b'{"data": "\\ud800"}', JSON, 400, "unicode"),
        (json.dumps({"data": "x" * 4097}).encode(), JSON, 400, "4096"),
        (b"data=x", None, 415, FORM),
        (b"data=x", "text/plain", 415, FORM),
        (b"data=x", "multipart/form-data; boundary=b", 415, FORM),
    ],
)
def test_bad_todo_is_refused_and_not_stored(
    client: ContractClient, table: Any, body: bytes, kind: str | None, status: int, message: str
) -> None:
    response = client.post("/todo", data=body, content_type=kind)
    assert (response.status_code, message in response.get_json()["message"]) == (status, True)
    assert table.scan()["Items"] == []


@pytest.mark.parametrize(
    ("query", "named"),
    [(f"limit={limit}", "limit") for limit in ("", "0", "101", "-1", "+5", "1_0", "5.0", " 5", "٣", "x", "%ff", "9" * 999)]
    + [(f"cursor={cursor}", "cursor") for cursor in ("", "x", "é", "NjE3MzBmMjU=", "NjE3MzBmMjV", "AAAAAAAAAAA", "!NjE3MzBmMjU")]
    + [("limit=1&limit=1", "limit"), ("cursor=NjE3MzBmMjU&cursor=NjE3MzBmMjU", "cursor"), ("offset=1", "offset")],
)  # fmt: skip
def test_bad_page_is_refused(client: ContractClient, query: str, named: str) -> None:
    response = client.get(f"/todo?{query}")
    assert response.status_code == 400
    assert named in response.get_json()["message"]


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
    assert response.status_code == 405
    assert ", ".join(sorted(response.headers["Allow"].split(", "))) == allowed


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


def test_unexpected_error_is_a_logged_500(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Store, "page", lambda *_, **__: 1 / 0)
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
