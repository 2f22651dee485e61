"""The local API answers as API Gateway does: one row a behaviour, each through the real Envoy.

A row's evidence is "documented" (on the AWS page it names), "observed" (reported by others) or "assumed".
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_connection, create_server, socket
from threading import Thread
from typing import Any, NamedTuple

import jwt
import pytest

from infra.api import ACCESS_LOG_FORMAT
from local.token import make_token, write_keys
from tests.conftest import FOLDER, synthesize

BOUND_SECONDS = 30
NOW = int(time.time())
Headers = list[tuple[str, str]]


class Answer(NamedTuple):
    """An HTTP answer: `headers` by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def echo(self) -> Any:
        """The request that the backend saw."""
        assert self.status == 200, self
        return json.loads(self.body)

    def seen(self, name: str) -> list[str]:
        """The values of a header that the backend saw, whatever its case."""
        return [value for key, value in self.echo["headers"] if key.lower() == name]

    @property
    def own(self) -> tuple[int, str, str | None, bool]:
        """The parts by which an answer of the gateway itself is told from one of the backend."""
        return self.status, self.body.decode(), self.headers.get("content-type"), "apigw-requestid" in self.headers


def own(status: int, text: str) -> tuple[int, str, str, bool]:
    return status, f'{{"message":"{text}"}}', "application/json", True


NOT_FOUND, UNAVAILABLE = own(404, "Not Found"), own(503, "Service Unavailable")
REFUSED = {401: own(401, "Unauthorized"), 403: own(403, "Forbidden")}


class Echo(BaseHTTPRequestHandler):
    """Answers with the request it saw, after the pause or with the status that its path asks for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        _, kind, *rest = self.path.split("?")[0].split("/")
        if kind == "sleep":
            time.sleep(float(rest[0]))
        length = len(self.rfile.read(int(self.headers.get("content-length", 0))))
        seen = {"method": self.command, "path": self.path, "headers": self.headers.items(), "length": length}
        body = json.dumps(seen).encode()
        self.send_response(int(rest[0]) if kind == "status" else 200)
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

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, headers: Headers | None = None) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=BOUND_SECONDS)
        connection.putrequest(method, path)
        for name, value in [*(headers or []), *([("content-length", str(len(body)))] if body else [])]:
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        result = Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        connection.close()
        return result

    def authorize(self, *values: str, path: str = "/token", spoofed: Headers | None = None) -> Answer:
        return self.ask(path, headers=[*(spoofed or []), *(("Authorization", value) for value in values)])

    def claims(self, **claims: Any) -> dict[str, Any]:
        """Those of a good token, with `claims` besides; None leaves one out."""
        good = {"iss": "https://issuer.example.com/", "aud": "parity", "sub": "ann", "iat": NOW, "exp": NOW + 6000}
        return {name: value for name, value in {**good, **claims}.items() if value is not None}

    def token(self, **claims: Any) -> str:
        return make_token(self.key, self.claims(**claims))


def free_port() -> int:
    with create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("parity")
    echo, down = (f"com.amazonaws.vpce.us-west-2.vpce-svc-{number}" for number in range(2))
    synthesize(folder, SERVICES=str(FOLDER / "tests/parity.toml"), ECHO_SERVICE_NAME=echo, DOWN_SERVICE_NAME=down)
    write_keys(folder / "key.pem", folder / "jwks.json")
    running = Api(free_port(), folder / "key.pem", folder / "log")
    command = [sys.executable, "-m", "local", f"{folder}/global-apigw.template.json", "--port", str(running.port)]
    command += ["--config", f"{folder}/envoy.json", "--jwks", f"{folder}/jwks.json"]
    command += [
        "--envoy",
        str(Path(sys.executable).with_name("envoy")),
        "--endpoint",
        f"{down}=127.0.0.1:{free_port()}",
    ]
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as backend, running.log.open("wb") as log:
        Thread(target=backend.serve_forever, daemon=True).start()
        command += ["--endpoint", f"{echo}=127.0.0.1:{backend.server_port}"]
        with subprocess.Popen(command, cwd=FOLDER, stdout=log, stderr=log) as envoy:
            try:
                wait_until(lambda: reachable(running.port) or envoy.poll() is not None, running.log)
                assert envoy.poll() is None, running.log.read_text()
                yield running
            finally:
                envoy.terminate()
        backend.shutdown()


def reachable(port: int) -> bool:
    with socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + BOUND_SECONDS
    while not condition():
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.05)


SPOOFED = [("x-auth-subject", "eve"), ("X-AUTH-Subject", "eve"), ("X-Request-ID", "eve"), ("x-request-id", "eve")]
MEGABYTES_10 = 10 * 1024 * 1024
ASKED = ("access-control-request-method", "GET")
FRIEND, STRANGER = ("origin", "https://app.example.com"), ("origin", "https://evil.example.com")
ALLOWED = "access-control-allow-origin"


def spent(api: Api, path: str) -> list[Any]:
    """The first three and the last of six answers: a slow client may meet a refilled bucket in between."""
    burst = [api.ask(path) for _ in range(6)]
    return [*(answer.status for answer in burst[:3]), burst[-1].own]


# The page, the behaviour, the evidence, the request, and what must come of it.
ROWS: list[tuple[str, str, str, Callable[[Api], Any], Any]] = [
    ("develop-routes", "a full match goes before a path parameter", "documented", lambda api: logged(api, api.ask("/echo/fixed"))["route"], "GET /echo/fixed"),
    ("develop-routes", "a path parameter takes one segment", "documented", lambda api: api.ask("/echo/a%2Fb").echo["path"], "/echo/a%2Fb"),
    ("develop-routes", "a path parameter takes no second segment", "documented", lambda api: api.ask("/echo/a/b").own, NOT_FOUND),
    ("develop-routes", "an unknown path is a 404", "documented", lambda api: api.ask("/nowhere").own, NOT_FOUND),
    ("develop-routes", "a known path with another method is a 404, not a 405", "observed", lambda api: api.ask("/echo", "DELETE").own, NOT_FOUND),
    ("develop-routes", "a trailing slash is another path", "assumed", lambda api: api.ask("/echo/").own, NOT_FOUND),
    ("develop-integrations-http", "path and query reach the backend unchanged", "documented", lambda api: api.ask("/echo?a=1&a=%2F").echo["path"], "/echo?a=1&a=%2F"),
    ("develop-integrations-http", "the backend's own status passes", "documented",
     lambda api: [api.ask(f"/status/{status}").status for status in (404, 429, 500, 503)], [404, 429, 500, 503]),
    ("develop-integrations-http", "the backend's own body passes", "documented", lambda api: json.loads(api.ask("/status/503").body)["path"], "/status/503"),
    ("troubleshooting", "an unreachable backend is a 503", "observed", lambda api: api.ask("/down").own, UNAVAILABLE),
    ("quotas", "a backend that does not answer in time is a 503", "observed", lambda api: api.ask("/sleep/3").own, UNAVAILABLE),
    ("quotas", "10 MB of payload pass", "documented", lambda api: api.ask("/echo", "POST", bytes(MEGABYTES_10 - 1)).echo["length"], MEGABYTES_10 - 1),
    ("quotas", "more than 10 MB are a 413", "documented", lambda api: api.ask("/echo", "POST", bytes(MEGABYTES_10 + 1)).status, 413),
    ("logging-variables", "every answer carries a request id of its own", "observed",
     lambda api: len({api.ask("/echo").headers["apigw-requestid"] for _ in range(3)}), 3),
    ("parameter-mapping", "the request id reaches the backend, whatever the client sent", "documented",
     lambda api: (answer := api.ask("/echo", headers=SPOOFED)).seen("x-request-id") == [answer.headers["apigw-requestid"]] != ["eve"], True),
    ("parameter-mapping", "no subject reaches the backend on an open route", "documented", lambda api: api.ask("/echo", headers=SPOOFED).seen("x-auth-subject"), []),
    ("parameter-mapping", "the verified subject overwrites the client's header", "documented",
     lambda api: api.authorize(f"Bearer {api.token()}", spoofed=SPOOFED).seen("x-auth-subject"), ["ann"]),
    ("parameter-mapping", "a token without sub leaves no subject, whatever the client sent", "assumed",
     lambda api: api.authorize(f"Bearer {api.token(sub=None)}", spoofed=SPOOFED).seen("x-auth-subject"), []),
    ("develop-integrations-http", "no header of the proxy reaches the backend", "documented",
     lambda api: [name for name, _ in api.ask("/echo").echo["headers"] if "envoy" in name.lower()], []),
    ("develop-integrations-http", "the gateway adds itself as the last element of Forwarded", "observed",
     lambda api: re.findall(r"for=([\d.]+)", ",".join(api.ask("/echo", headers=[("Forwarded", "for=6.6.6.6")]).seen("forwarded"))), ["6.6.6.6", "127.0.0.1"]),
    ("develop-integrations-http", "Via names the gateway", "observed", lambda api: api.ask("/echo").seen("via"), ["HTTP/1.1 AmazonAPIGateway"]),
    ("develop-integrations-http", "there is no X-Forwarded-For of the gateway's own", "observed", lambda api: api.ask("/echo").seen("x-forwarded-for"), []),
    ("throttling", "after three requests, a bucket of three is empty, and a request gets a 429", "documented",
     lambda api: spent(api, "/limited"), [200, 200, 200, own(429, "Too Many Requests")]),
    ("throttling", "another route has a bucket of its own", "documented", lambda api: [api.ask(path).status for path in ["/limited"] * 6 + ["/echo"]][-1], 200),
    ("cors", "a preflight of an allowed origin gets the permission without a token", "documented",
     lambda api: ((answer := api.ask("/token", "OPTIONS", headers=[FRIEND, ASKED])).status, answer.headers[ALLOWED]), (200, FRIEND[1])),
    ("cors", "a preflight of another origin gets no permission", "documented", lambda api: ALLOWED in api.ask("/echo", "OPTIONS", headers=[STRANGER, ASKED]).headers, False),
    ("cors", "CORS says nothing to another origin", "documented", lambda api: ALLOWED in api.ask("/echo", headers=[STRANGER]).headers, False),
]  # fmt: skip


@pytest.mark.parametrize(("page", "evidence", "ask", "expected"), [(row[0], *row[2:]) for row in ROWS], ids=[row[1] for row in ROWS])  # fmt: skip
def test_the_local_api_answers_as_api_gateway_does(
    api: Api, page: str, evidence: str, ask: Callable[[Api], Any], expected: Any
) -> None:
    assert ask(api) == expected, (
        f"{evidence}: docs.aws.amazon.com/apigateway/latest/developerguide/http-api-{page}.html"
    )


def tampered(api: Api) -> str:
    """The signature of a good token over another subject."""
    (head, payload, signature), forged = api.token().split("."), jwt.encode(api.claims(sub="eve"), "k" * 32).split(".")
    assert payload != forged[1]
    return f"{head}.{forged[1]}.{signature}"


def of_another_key(api: Api) -> str:
    """A good token's claims, signed by somebody else's key under the same key id."""
    other = api.key.with_name("other.pem")
    write_keys(other, other.with_suffix(".json"))
    return make_token(other, api.claims())


class Token(NamedTuple):
    """A behaviour, its evidence, claims or a maker of the token, the status, the Authorization headers and the route."""

    behaviour: str
    evidence: str
    token: dict[str, Any] | Callable[[Api], str]
    status: int
    headers: list[str] = ["Bearer {}"]  # noqa: RUF012 - nobody changes it
    path: str = "/token"


TOKENS = [
    Token("no token", "documented", {}, 401, []),
    Token("the right token", "documented", {}, 200),
    Token("another issuer", "documented", {"iss": "https://evil.example.com/"}, 401),
    Token("another audience", "documented", {"aud": "other"}, 401),
    Token("a list of audiences with the right one", "documented", {"aud": ["other", "parity"]}, 200),
    Token("a list of other audiences", "documented", {"aud": ["other", "another"]}, 401),
    Token("client_id for a missing aud", "documented", {"aud": None, "client_id": "parity"}, 200),
    Token("client_id for a wrong aud", "documented", {"aud": "other", "client_id": "parity"}, 401),
    Token("client_id for a list of wrong audiences", "documented", {"aud": ["other"], "client_id": "parity"}, 401),
    Token("neither aud nor client_id", "documented", {"aud": None}, 401),
    Token("an expired token", "documented", {"exp": NOW - 300}, 401),
    Token("a token without expiry", "assumed", {"exp": None}, 401),
    Token("a token that is not yet valid", "documented", {"nbf": NOW + 3000}, 401),
    Token("a token from the future", "documented", {"iat": NOW + 3000}, 401),
    Token("a token without iat", "assumed", {"iat": None}, 200),
    Token("a token that does not name its key", "documented",
          lambda api: jwt.encode(api.claims(), api.key.read_text(), algorithm="RS256"), 401),
    Token("algorithm none", "documented", lambda api: jwt.encode(api.claims(), "", algorithm="none"), 401),
    Token("a tampered token", "documented", tampered, 401),
    Token("an unknown key", "documented", of_another_key, 401),
    Token("a token without its scheme", "documented", {}, 200, ["{}"]),
    Token("a tampered token without its scheme", "documented", tampered, 401, ["{}"]),
    Token("the scheme in lower case", "assumed", {}, 401, ["bearer {}"]),
    *(Token("anything else beside scheme and token", "documented", {}, 401, [text])
      for text in ("Basic x, Bearer {}", "x Bearer {}", "xBearer {}", "Bearer {},x", "Bearer {} x", "Bearer Bearer {}", "{} x")),
    *(Token("two Authorization headers", "assumed", {}, 401, texts)
      for texts in (["Bearer {}", "Bearer {}"], ["Bearer {}", "Basic eA=="], ["Basic eA==", "Bearer {}"], ["{}", "{}"])),
    *(Token("a scope of the route, in scope or scp", "documented", {claim: value}, 200, path="/scope")
      for claim in ("scope", "scp") for value in ("write", "other read", ["other", "read"])),
    *(Token("no scope of the route", "documented", claims, 403, path="/scope") for claims in ({}, {"scope": "other"}, {"scope": "reader"})),
]  # fmt: skip


@pytest.mark.parametrize("row", TOKENS, ids=lambda row: row.behaviour)
def test_a_token_is_checked_as_by_a_jwt_authorizer(api: Api, row: Token) -> None:
    text = row.token(api) if callable(row.token) else api.token(**row.token)
    answer = api.authorize(*(header.format(text) for header in row.headers), path=row.path)
    page = "docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html"
    assert answer.status == row.status, f"{row.evidence}: {page}"
    assert answer.own == REFUSED[row.status] if row.status in REFUSED else answer.seen("x-auth-subject") == ["ann"]
    assert row.status != 401 or answer.headers["www-authenticate"].startswith("Bearer")


def test_a_token_in_the_query_is_no_token(api: Api) -> None:
    assert api.ask(f"/token?access_token={api.token()}").own == REFUSED[401]


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
    ("a token that passes", lambda api: api.authorize(api.token(client_id="c1", scope="read"), path="/scope"),
     {"route": "GET /scope", "status": "200", "integrationStatus": "200", "subject": "ann", "clientId": "c1", "authorizerError": "-", "integrationError": "-"}),
    ("no token", lambda api: api.ask("/token"),
     {"route": "GET /token", "status": "401", "integrationStatus": "-", "integrationLatency": "-", "subject": "-", "clientId": "-", "authorizerError": ".*missing.*"}),
    ("an expired token", lambda api: api.authorize(api.token(exp=1)), {"status": "401", "integrationStatus": "-", "authorizerError": ".*expired.*"}),
    ("another audience", lambda api: api.authorize(api.token(aud="other")), {"status": "401", "authorizerError": ".*audience.*"}),
    ("a missing scope", lambda api: api.authorize(api.token(), path="/scope"), {"status": "403", "authorizerError": ".*scope.*"}),
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
