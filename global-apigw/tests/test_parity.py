"""The local API answers as API Gateway does: one row a behaviour, each through the real Envoy.

A row's evidence is "documented" (on the AWS page it names), "observed" (reported by others) or "assumed".
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_connection, socket
from threading import Thread
from typing import Any, NamedTuple

import jwt
import pytest

from infra.api import ACCESS_LOG_FORMAT
from local.token import make_token, write_keys
from tests.conftest import synthesize

FOLDER = Path(__file__).parent.parent
BOUND_SECONDS = 30
ISSUER = "https://issuer.example.com/"


class Answer(NamedTuple):
    """An HTTP answer: `headers` by lower-case name, `json` the parsed body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Echo(BaseHTTPRequestHandler):
    """Answers with the request it saw, after the pause or with the status that its path asks for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        _, kind, *rest = self.path.split("?")[0].split("/")
        if kind == "sleep":
            time.sleep(float(rest[0]))
        status = int(rest[0]) if kind == "status" else 200
        length = len(self.rfile.read(int(self.headers.get("content-length", 0))))
        seen = {"method": self.command, "path": self.path, "headers": self.headers.items(), "length": length}
        body = json.dumps(seen).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Api(NamedTuple):
    """The running API and the key that its issuer signs with."""

    port: int
    key: Path
    log: Path

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, headers: list[tuple[str, str]] | None = None) -> Answer:  # fmt: skip
        connection = HTTPConnection("127.0.0.1", self.port, timeout=BOUND_SECONDS)
        connection.putrequest(method, path, skip_host=False)
        for name, value in headers or []:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        answer: HTTPResponse = connection.getresponse()
        result = Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        connection.close()
        return result

    def ask_with(self, token: str, path: str = "/token") -> Answer:
        return self.ask(path, headers=[("Authorization", f"Bearer {token}")])

    def token(self, **claims: Any) -> str:
        """A good token with `claims` besides; None leaves one out."""
        now = int(time.time())
        good = {"iss": ISSUER, "aud": "parity", "sub": "ann", "iat": now, "exp": now + 600}
        return make_token(self.key, {k: v for k, v in {**good, **claims}.items() if v is not None})


def free_port() -> int:
    with socket() as each:
        each.bind(("127.0.0.1", 0))
        return int(each.getsockname()[1])


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("parity")
    names = {kind: f"com.amazonaws.vpce.us-west-2.vpce-svc-{number}" for number, kind in enumerate(("ECHO", "DOWN"))}
    registry = str(FOLDER / "tests/parity.toml")
    synthesize(folder / "cdk.out", SERVICES=registry, **{f"{kind}_SERVICE_NAME": name for kind, name in names.items()})
    write_keys(folder / "key.pem", folder / "jwks.json")
    backend = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    backend.daemon_threads = True
    Thread(target=backend.serve_forever, daemon=True).start()
    running = Api(free_port(), folder / "key.pem", folder / "log")
    command = [sys.executable, "-m", "local", str(folder / "cdk.out/global-apigw.template.json")]
    command += [
        "--port",
        str(running.port),
        "--config",
        str(folder / "envoy.json"),
        "--jwks",
        str(folder / "jwks.json"),
    ]
    command += ["--envoy", str(Path(sys.executable).with_name("envoy"))]
    command += ["--endpoint", f"{names['ECHO']}=127.0.0.1:{backend.server_port}"]
    command += ["--endpoint", f"{names['DOWN']}=127.0.0.1:{free_port()}"]
    with running.log.open("wb") as log:
        envoy = subprocess.Popen(command, cwd=FOLDER, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: reachable(running.port) or envoy.poll() is not None, running.log)
        assert envoy.poll() is None, running.log.read_text()
        yield running
    finally:
        envoy.terminate()
        envoy.wait(BOUND_SECONDS)
        backend.shutdown()
        backend.server_close()


def reachable(port: int) -> bool:
    with socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + BOUND_SECONDS
    while not condition():
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.05)


def seen(answer: Answer, name: str) -> list[str]:
    """The values of a header as the backend saw it, whatever its case."""
    assert answer.status == 200, answer
    return [value for key, value in answer.json["headers"] if key.lower() == name]


def message(status: int, text: str) -> Callable[[Answer], bool]:
    """The gateway's own answer: status, exact body, JSON, request id."""
    body = json.dumps({"message": text}, separators=(",", ":")).encode()
    return lambda answer: (
        (answer.status, answer.body) == (status, body)
        and answer.headers["content-type"] == "application/json"
        and "apigw-requestid" in answer.headers
    )


NOT_FOUND = message(404, "Not Found")
UNAVAILABLE = message(503, "Service Unavailable")
UNAUTHORIZED = message(401, "Unauthorized")
FORBIDDEN = message(403, "Forbidden")
SPOOFED = [("x-auth-subject", "eve"), ("X-AUTH-Subject", "eve"), ("X-Request-ID", "eve"), ("x-request-id", "eve")]
MEGABYTES_10 = 10 * 1024 * 1024
PREFLIGHT = [("origin", "https://app.example.com"), ("access-control-request-method", "GET")]


class Row(NamedTuple):
    """One behaviour: what it is, how well it is known, the AWS page, and the check."""

    behaviour: str
    evidence: str
    page: str
    check: Callable[[Api], bool]


ROWS = [
    Row("a full match goes before a path parameter", "documented", "http-api-develop-routes",
        lambda api: api.ask("/echo/fixed").json["path"] == "/echo/fixed"),
    Row("a path parameter takes one segment", "documented", "http-api-develop-routes",
        lambda api: api.ask("/echo/a%2Fb").status == 200 and NOT_FOUND(api.ask("/echo/a/b"))),
    Row("an unknown path is a 404", "documented", "http-api-develop-routes", lambda api: NOT_FOUND(api.ask("/nowhere"))),
    Row("a known path with another method is a 404, not a 405", "observed", "http-api-develop-routes",
        lambda api: NOT_FOUND(api.ask("/echo", "DELETE"))),
    Row("the health path has no route", "documented", "http-api-develop-routes", lambda api: NOT_FOUND(api.ask("/healthz"))),
    Row("a trailing slash is another path", "assumed", "http-api-develop-routes", lambda api: NOT_FOUND(api.ask("/echo/"))),
    Row("path and query reach the backend unchanged", "documented", "http-api-develop-integrations-http",
        lambda api: api.ask("/echo?a=1&a=%2F").json["path"] == "/echo?a=1&a=%2F"),
    Row("the backend's own status and body pass", "documented", "http-api-develop-integrations-http",
        lambda api: all(api.ask(f"/status/{code}").status == code for code in (404, 429, 500, 503))),
    Row("an unreachable backend is a 503", "observed", "http-api-troubleshooting",
        lambda api: UNAVAILABLE(api.ask("/down"))),
    Row("a backend that does not answer in time is a 503", "observed", "http-api-quotas",
        lambda api: UNAVAILABLE(api.ask("/sleep/3"))),
    Row("10 MB of payload pass", "documented", "http-api-quotas",
        lambda api: api.ask("/echo", "POST", bytes(MEGABYTES_10 - 1)).json["length"] == MEGABYTES_10 - 1),
    Row("more than 10 MB are a 413", "documented", "http-api-quotas",
        lambda api: api.ask("/echo", "POST", bytes(MEGABYTES_10 + 1)).status == 413),
    Row("every answer carries a request id of its own", "observed", "http-api-logging-variables",
        lambda api: len({api.ask("/echo").headers["apigw-requestid"] for _ in range(3)}) == 3),
    Row("the request id reaches the backend, whatever the client sent", "documented", "http-api-parameter-mapping",
        lambda api: (a := api.ask("/echo", headers=SPOOFED)).headers["apigw-requestid"] != "eve"
        and seen(a, "x-request-id") == [a.headers["apigw-requestid"]]),
    Row("no header of the proxy reaches the backend", "documented", "http-api-develop-integrations-http",
        lambda api: not [name for name, _ in api.ask("/echo").json["headers"] if "envoy" in name.lower()]),
    Row("no subject reaches the backend on an open route", "documented", "http-api-parameter-mapping",
        lambda api: seen(api.ask("/echo", headers=SPOOFED), "x-auth-subject") == []),
    Row("the verified subject overwrites what the client sent", "documented", "http-api-parameter-mapping",
        lambda api: seen(api.ask("/token", headers=[*SPOOFED, ("Authorization", f"Bearer {api.token()}")]), "x-auth-subject") == ["ann"]),
    Row("a token without sub leaves no subject, whatever the client sent", "assumed", "http-api-parameter-mapping",
        lambda api: seen(api.ask("/token", headers=[*SPOOFED, ("Authorization", f"Bearer {api.token(sub=None)}")]), "x-auth-subject") == []),
    Row("the gateway adds itself as the last element of Forwarded", "observed", "http-api-develop-integrations-http",
        lambda api: "for=127.0.0.1" in seen(api.ask("/echo", headers=[("Forwarded", "for=6.6.6.6")]), "forwarded")[-1].split(",")[-1]),
    Row("Via names the gateway", "observed", "http-api-develop-integrations-http",
        lambda api: seen(api.ask("/echo"), "via") == ["HTTP/1.1 AmazonAPIGateway"]),
    Row("there is no X-Forwarded-For of the gateway's own", "observed", "http-api-develop-integrations-http",
        lambda api: seen(api.ask("/echo"), "x-forwarded-for") == []),
    Row("no token is a 401", "documented", "http-api-jwt-authorizer", lambda api: UNAUTHORIZED(api.ask("/token"))),
    Row("a 401 says www-authenticate", "observed", "http-api-jwt-authorizer",
        lambda api: api.ask("/token").headers["www-authenticate"].startswith("Bearer")),
    Row("the right token passes", "documented", "http-api-jwt-authorizer", lambda api: api.ask_with(api.token()).status == 200),
    Row("another issuer is a 401", "documented", "http-api-jwt-authorizer",
        lambda api: UNAUTHORIZED(api.ask_with(api.token(iss="https://evil.example.com/")))),
    Row("another audience is a 401 with www-authenticate", "documented", "http-api-jwt-authorizer",
        lambda api: UNAUTHORIZED(a := api.ask_with(api.token(aud="other"))) and "www-authenticate" in a.headers),
    Row("a list of audiences with the right one passes", "documented", "http-api-jwt-authorizer",
        lambda api: api.ask_with(api.token(aud=["other", "parity"])).status == 200),
    Row("a list of other audiences is a 401", "documented", "http-api-jwt-authorizer",
        lambda api: UNAUTHORIZED(api.ask_with(api.token(aud=["other", "another"])))),
    Row("client_id stands for a missing aud", "documented", "http-api-jwt-authorizer",
        lambda api: api.ask_with(api.token(aud=None, client_id="parity")).status == 200),
    Row("client_id does not stand for a wrong aud", "documented", "http-api-jwt-authorizer",
        lambda api: UNAUTHORIZED(api.ask_with(api.token(aud="other", client_id="parity")))
        and UNAUTHORIZED(api.ask_with(api.token(aud=["other"], client_id="parity")))),
    Row("neither aud nor client_id is a 401", "documented", "http-api-jwt-authorizer",
        lambda api: UNAUTHORIZED(api.ask_with(api.token(aud=None)))),
    Row("an expired token is a 401", "documented", "http-api-jwt-authorizer",
        lambda api: UNAUTHORIZED(api.ask_with(api.token(exp=int(time.time()) - 300)))),
    Row("a token that is not yet valid is a 401", "documented", "http-api-jwt-authorizer",
        lambda api: UNAUTHORIZED(api.ask_with(api.token(nbf=int(time.time()) + 300)))),
    Row("a token from the future is a 401", "documented", "http-api-jwt-authorizer",
        lambda api: UNAUTHORIZED(a := api.ask_with(api.token(iat=int(time.time()) + 300))) and "www-authenticate" in a.headers),
    Row("a token without iat passes", "assumed", "http-api-jwt-authorizer", lambda api: api.ask_with(api.token(iat=None)).status == 200),
    Row("a token that does not name its key is a 401", "documented", "http-api-jwt-authorizer",
        lambda api: UNAUTHORIZED(api.ask_with(jwt.encode(claims(api), api.key.read_text(), algorithm="RS256")))),
    Row("a token without its scheme passes", "documented", "http-api-jwt-authorizer",
        lambda api: seen(api.ask("/token", headers=[("Authorization", api.token())]), "x-auth-subject") == ["ann"]),
    Row("a token without its scheme is verified too", "documented", "http-api-jwt-authorizer",
        lambda api: UNAUTHORIZED(api.ask("/token", headers=[("Authorization", tampered(api.token()))]))),
    Row("anything else beside scheme and token is a 401", "documented", "http-api-jwt-authorizer",
        lambda api: all(UNAUTHORIZED(api.ask("/token", headers=[("Authorization", text.format(api.token()))]))
                        for text in ("Basic x, Bearer {}", "x Bearer {}", "xBearer {}", "Bearer {},x", "Bearer {} x", "Bearer Bearer {}", "{} x"))),
    Row("the scheme in lower case is a 401", "assumed", "http-api-jwt-authorizer",
        lambda api: UNAUTHORIZED(api.ask("/token", headers=[("Authorization", f"bearer {api.token()}")]))),
    Row("two Authorization headers are a 401, whatever their order", "assumed", "http-api-jwt-authorizer",
        lambda api: all(UNAUTHORIZED(api.ask("/token", headers=[("Authorization", text.format(api.token())) for text in order]))
                        for order in (["Bearer {}", "Bearer {}"], ["Bearer {}", "Basic eA=="], ["Basic eA==", "Bearer {}"], ["{}", "{}"]))),
    Row("a token without expiry is a 401", "assumed", "http-api-jwt-authorizer",
        lambda api: UNAUTHORIZED(api.ask_with(api.token(exp=None)))),
    Row("algorithm none is a 401", "documented", "http-api-jwt-authorizer",
        lambda api: UNAUTHORIZED(api.ask_with(jwt.encode({"iss": ISSUER, "aud": "parity"}, "", algorithm="none")))),
    Row("a tampered token is a 401", "documented", "http-api-jwt-authorizer",
        lambda api: UNAUTHORIZED(api.ask_with(tampered(api.token())))),
    Row("an unknown key is a 401", "documented", "http-api-jwt-authorizer",
        lambda api: UNAUTHORIZED(api.ask_with(re_signed(api)))),
    Row("a token in the query is no token", "documented", "http-api-jwt-authorizer",
        lambda api: UNAUTHORIZED(api.ask(f"/token?access_token={api.token()}"))),
    Row("a missing scope is a 403", "documented", "http-api-jwt-authorizer",
        lambda api: FORBIDDEN(api.ask_with(api.token(scope="other"), "/scope"))
        and FORBIDDEN(api.ask_with(api.token(), "/scope"))),
    Row("any one of the route's scopes suffices, in scope or scp", "documented", "http-api-jwt-authorizer",
        lambda api: all(api.ask_with(api.token(**{claim: value}), "/scope").status == 200
                        for claim in ("scope", "scp") for value in ("write", "other read", ["other", "read"]))),
    Row("a scope is compared as a whole", "documented", "http-api-jwt-authorizer",
        lambda api: FORBIDDEN(api.ask_with(api.token(scope="reader"), "/scope"))),
    Row("a burst over the route's limit is a 429, and other routes are untouched", "documented", "http-api-throttling",
        lambda api: throttled([api.ask("/limited") for _ in range(6)]) and api.ask("/echo").status == 200),
    Row("CORS answers a preflight for an allowed origin", "documented", "http-api-cors",
        lambda api: (a := api.ask("/token", "OPTIONS", headers=PREFLIGHT)).status in (200, 204)
        and a.headers["access-control-allow-origin"] == "https://app.example.com"),
    Row("a preflight of another origin gets no permission", "documented", "http-api-cors",
        lambda api: "access-control-allow-origin"
        not in api.ask("/echo", "OPTIONS", headers=[("origin", "https://evil.example.com"), PREFLIGHT[1]]).headers),
    Row("CORS says nothing to another origin", "documented", "http-api-cors",
        lambda api: "access-control-allow-origin" not in api.ask("/echo", headers=[("origin", "https://evil.example.com")]).headers),
]  # fmt: skip


def throttled(burst: list[Answer]) -> bool:
    """A bucket of three lets three pass, and the last of six gets the exact answer."""
    return [answer.status for answer in burst[:3]] == [200] * 3 and message(429, "Too Many Requests")(burst[-1])


def claims(api: Api) -> dict[str, Any]:
    """The claims of a good token."""
    return dict(jwt.decode(api.token(), options={"verify_signature": False}))


def tampered(token: str) -> str:
    """The same signature over another subject."""
    head, payload, signature = token.split(".")
    forged = jwt.encode({**jwt.decode(token, options={"verify_signature": False}), "sub": "eve"}, "k" * 32)
    assert payload != forged.split(".")[1]
    return ".".join([head, forged.split(".")[1], signature])


def re_signed(api: Api) -> str:
    """A good token's claims, signed by somebody else's key under the same key id."""
    other = api.key.with_name("other.pem")
    write_keys(other, other.with_suffix(".json"))
    return make_token(other, claims(api))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.behaviour)
def test_the_local_api_answers_as_api_gateway_does(api: Api, row: Row) -> None:
    assert row.evidence in ("documented", "observed", "assumed")
    assert row.check(api), f"{row.evidence}: docs.aws.amazon.com/apigateway/latest/developerguide/{row.page}.html"


def raw(api: Api, request: str) -> str:
    """The status line of the answer, whatever the bytes of the request are."""
    with create_connection(("127.0.0.1", api.port), timeout=BOUND_SECONDS) as client:
        client.sendall(request.encode())
        return client.recv(1000).decode().partition("\r\n")[0]


HOSTS = [("127.0.0.1", 200), ("127.0.0.1:{}", 200), ("localhost:{}", 200), ("[::1]:{}", 200), ("evil.example.com", 404),
         ("evil.example.com:{}", 404), ("localhost.evil.example.com", 404), ("127.0.0.1.evil.example.com:{}", 404), ("", 404)]  # fmt: skip


@pytest.mark.parametrize(("host", "status"), HOSTS)
def test_no_web_page_reaches_the_api_by_a_name_of_its_own(api: Api, host: str, status: int) -> None:
    for line in (
        f"GET /echo HTTP/1.1\r\nHost: {host.format(api.port)}",
        f"GET http://{host.format(api.port)}/echo HTTP/1.1\r\nHost: localhost",
    ):
        if host or "http:" not in line:
            assert raw(api, f"{line}\r\nConnection: close\r\n\r\n").split()[1] == str(status)


def test_there_is_no_http_2_in_the_clear(api: Api) -> None:
    assert raw(api, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == "HTTP/1.1 400 Bad Request"
    upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    assert raw(api, f"GET /echo HTTP/1.1\r\nHost: localhost\r\n{upgrade}") == "HTTP/1.1 200 OK"


def logged(api: Api, answer: Answer) -> dict[str, Any]:
    """The line of the access log about a request."""
    request_id = answer.headers["apigw-requestid"]
    wait_until(lambda: request_id in api.log.read_text(), api.log)
    [line] = [line for line in api.log.read_text().splitlines() if request_id in line]
    return dict(json.loads(line))


LOG = [
    ("a token that passes", lambda api: api.ask_with(api.token(client_id="c1", scope="read"), "/scope"),
     {"route": "GET /scope", "status": "200", "integrationStatus": "200", "subject": "ann", "clientId": "c1", "authorizerError": "-", "integrationError": "-"}),
    ("no token", lambda api: api.ask("/token"),
     {"route": "GET /token", "status": "401", "integrationStatus": "-", "integrationLatency": "-", "subject": "-", "clientId": "-", "authorizerError": ".*missing.*"}),
    ("an expired token", lambda api: api.ask_with(api.token(exp=1)), {"status": "401", "integrationStatus": "-", "authorizerError": ".*expired.*"}),
    ("another audience", lambda api: api.ask_with(api.token(aud="other")), {"status": "401", "authorizerError": ".*audience.*"}),
    ("a missing scope", lambda api: api.ask_with(api.token(), "/scope"), {"status": "403", "authorizerError": ".*scope.*"}),
    ("a backend's own 503", lambda api: api.ask("/status/503"), {"status": "503", "integrationStatus": "503", "integrationError": "-"}),
    ("a backend that is down", lambda api: api.ask("/down"), {"status": "503", "integrationStatus": "-", "integrationError": "[^-].*"}),
    ("a backend that is slow", lambda api: api.ask("/sleep/3"), {"status": "503", "integrationStatus": "-", "integrationError": "[^-].*"}),
    ("no route", lambda api: api.ask("/nowhere"), {"route": "-", "status": "404", "integrationStatus": "-", "integrationError": "-"}),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "expected"), [row[1:] for row in LOG], ids=[row[0] for row in LOG])
def test_a_line_of_the_access_log_has_strings_and_dashes_as_deployed(
    api: Api, ask: Callable[[Api], Answer], expected: dict[str, str]
) -> None:
    fields = logged(api, ask(api))
    assert fields.keys() == ACCESS_LOG_FORMAT.keys()
    for field, pattern in expected.items():
        assert re.fullmatch(pattern, fields[field]), (field, fields)
    assert re.fullmatch(r"\d{13}", fields["time"])
    assert all(isinstance(value, str) for value in fields.values())
