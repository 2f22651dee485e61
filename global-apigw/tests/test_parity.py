"""The local API answers as API Gateway does: every row of parity.yaml, through the real Envoy."""

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copy
from socket import create_connection, create_server
from threading import Thread
from typing import Any, NamedTuple

import jwt
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from infra.api import ACCESS_LOG_FORMAT
from local.authority import issue
from local.token import make_token, write_keys
from tests.conftest import FOLDER, synthesize
from tests.parity import BOUND_SECONDS, FORGERIES, ROWS, Parts, ask, differences, wait_until

ORIGIN = "https://app.example.com"
GOOD = {"iss": "https://issuer.example.com/", "aud": "parity", "sub": "ann", "iat": 0, "exp": 6000}


class Backend(BaseHTTPRequestHandler):
    """Answers with the request that it saw, after the pause or with the status that its path asks for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        _, kind, *rest = self.path.split("?")[0].split("/")
        if kind == "sleep":
            time.sleep(float(rest[0]))
        length = len(self.rfile.read(int(self.headers.get("content-length", 0))))
        headers = {name.lower(): ",".join(self.headers.get_all(name, [])) for name in self.headers}
        seen = {"path": self.path, "length": str(length), "header_names": " ".join(sorted(headers)), **headers}
        body = json.dumps({"backend": seen}).encode()
        self.send_response(int(rest[0]) if kind == "status" else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Api(NamedTuple):
    """The running API, the key of its issuer and, if it asks for them, certificates."""

    port: int
    key: Path
    log: Path
    clients: dict[str, ssl.SSLContext]

    def token(self, claims: dict[str, Any], forgery: str) -> str:
        now = time.time() // 1
        own = {name: value for name, value in {**GOOD, **claims}.items() if value is not None}
        own |= {name: now + own[name] for name in ("iat", "nbf", "exp") if name in own}
        if forgery == "no key id":
            return jwt.encode(own, self.key.read_text(), algorithm="RS256")
        return FORGERIES[forgery](make_token(self.key, own))

    def ask(
        self, path: str, claims: dict[str, Any] | None = None, forgery: str = "", certificate: str = "", **request: Any
    ) -> Parts:
        """Send a request of parity.yaml."""
        tls = self.clients.get(certificate)
        headers = [*request.pop("headers", ()), *(["Host: api.example.com"] if tls else [])]
        token = self.token(claims or {}, forgery) if "{token}" in f"{path} {headers}" else None
        values = {"port": self.port, "token": token, "origin": ORIGIN}
        filled = [header.format(**values) for header in headers]
        method = request.pop("method", "GET")
        url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        return ask(url, method, path.format(**values), filled, tls=tls, **request)

    def logged(self, request_id: str) -> dict[str, str]:
        """The line of the access log about a request: strings, in the fields of the deployed format."""
        wait_until(lambda: request_id in self.log.read_text(), self.log.read_text)
        [line] = [line for line in self.log.read_text().splitlines() if request_id in line]
        fields: dict[str, str] = json.loads(line)
        assert fields.keys() >= ACCESS_LOG_FORMAT.keys()
        assert all(isinstance(value, str) for value in fields.values()), fields
        return fields


def free_port() -> int:
    with create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def is_open(port: int) -> bool:
    try:
        create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def issue_certificates(authority: Path, stranger: Path) -> None:
    """Those of the services that do not get their own when the API starts."""
    issue(authority, "wildcard.example.com", "*.example.com")
    issue(authority, "other.example.com", "another.example.com")
    issue(authority, "expired.example.com", "expired.example.com", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    for file in stranger.glob(f"{issue(stranger, 'stranger.example.com', 'stranger.example.com').stem}*"):
        copy(file, authority)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with serving(tmp_path_factory.mktemp("parity"), FOLDER / "tests/parity.toml") as served:
        yield served


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The same with a truststore, and a client for each kind of certificate. The truststore has a list of revoked ones."""
    folder = tmp_path_factory.mktemp("guarded")
    yesterday = datetime.now(UTC) - timedelta(1)
    places = {"good": "clients", "expired": "clients", "revoked": "clients", "foreign": "strangers"}
    files = {
        kind: issue(folder / place, kind, not_after=yesterday if kind == "expired" else None)
        for kind, place in places.items()
    }
    root = trustme.CA()
    lowest = root.create_child_ca().create_child_ca().create_child_ca()
    trusted = (folder / "clients/authority.pem").read_bytes() + b"".join(chain(lowest))
    (folder / "clients.pem").write_bytes(trusted + revocations(folder / "clients", files["revoked"]))
    unknown = root.create_child_ca()
    for kind, issuer in {"deep": lowest, "sent": unknown, "twice": unknown.create_child_ca()}.items():
        issued, files[kind] = issuer.issue_cert(kind, common_name=kind), folder / f"{kind}.pem"
        files[kind].write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(folder / f"{kind}-key.pem")
    text = (FOLDER / "tests/parity.toml").read_text().replace("[api]", "[api]\ndefault_endpoint = false")
    registry = folder / "services.toml"
    registry.write_text(text.replace('certificate/0"', 'certificate/0", truststore = "clients.pem"'))
    with serving(folder, registry) as served:
        for kind in ("none", *files):
            served.clients[kind] = ssl.create_default_context(cafile=folder / "authority/authority.pem")
        for kind, file in files.items():
            served.clients[kind].load_cert_chain(file, file.with_stem(f"{kind}-key"))
        yield served


def chain(authority: trustme.CA | None) -> list[bytes]:
    """The certificates of an authority and of those above it."""
    return [authority.cert_pem.bytes(), *chain(authority.parent_cert)] if authority else []


def revocations(folder: Path, revoked: Path) -> bytes:
    """The list of the authority in the folder, as PEM."""
    authority = x509.load_pem_x509_certificate((folder / "authority.pem").read_bytes())
    key: Any = load_pem_private_key((folder / "authority-key.pem").read_bytes(), None)
    serial, now = x509.load_pem_x509_certificate(revoked.read_bytes()).serial_number, datetime.now(UTC)
    entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
    crl = x509.CertificateRevocationListBuilder().issuer_name(authority.subject).add_revoked_certificate(entry)
    return crl.last_update(now).next_update(now + timedelta(1)).sign(key, SHA256()).public_bytes(Encoding.PEM)


@contextmanager
def serving(folder: Path, registry: Path) -> Iterator[Api]:
    port = free_port()
    echo, down = (f"com.amazonaws.vpce.us-west-2.vpce-svc-{number}" for number in range(2))
    synthesize(folder, SERVICES=str(registry), ECHO_SERVICE_NAME=echo, DOWN_SERVICE_NAME=down)
    write_keys(folder / "key.pem", folder / "jwks.json")
    issue_certificates(folder / "authority", folder / "stranger")
    log = folder / "log"
    with ThreadingHTTPServer(("127.0.0.1", 0), Backend) as backend, log.open("wb") as output:
        Thread(target=backend.serve_forever, daemon=True).start()
        files = f"{folder}/global-apigw.template.json --config {folder}/envoy.json --jwks {folder}/jwks.json"
        envoy = Path(sys.executable).with_name("envoy")
        ends = f"--endpoint {echo}=127.0.0.1:{backend.server_port} --endpoint {down}=127.0.0.1:{free_port()}"
        command = f"{sys.executable} -m local {files} --port {port} --envoy {envoy} {ends}"
        with subprocess.Popen(command.split(), cwd=FOLDER, stdout=output, stderr=output) as process:
            try:
                wait_until(lambda: is_open(port) or process.poll() is not None, log.read_text)
                assert process.poll() is None, log.read_text()
                yield Api(port, folder / "key.pem", log, {})
            finally:
                process.terminate()
        backend.shutdown()


CASES = [pytest.param(row, each, id=row["behaviour"]) for row in ROWS for each in row["requests"]]


@pytest.mark.parametrize(("row", "asked"), CASES)
def test_the_local_api_answers_as_api_gateway_does(
    request: pytest.FixtureRequest, row: dict[str, Any], asked: dict[str, Any]
) -> None:
    api: Api = request.getfixturevalue("guarded" if "certificate" in asked else "api")
    came = api.ask(**asked)
    if "log" in row["expected"]:
        came["log"] = api.logged(came["answer"]["apigw-requestid"])
    found = differences(row["expected"], came, origin=ORIGIN, methods="GET,POST")
    assert not found, f"{found} ({row['evidence']}) in {came}"


def test_every_answer_has_a_request_id_of_its_own(api: Api) -> None:
    assert len({api.ask("/echo")["answer"]["apigw-requestid"] for _ in range(3)}) == 3


def test_the_request_id_reaches_the_backend_whatever_the_client_sent(api: Api) -> None:
    came = api.ask("/echo", headers=["X-Request-ID: eve", "x-request-id: eve"])
    assert came["backend"]["x-request-id"] == came["answer"]["apigw-requestid"] != "eve"


def test_a_route_has_a_bucket_of_its_own_and_an_empty_one_is_a_429(api: Api) -> None:
    # A slow client may meet a refilled bucket between the third request and the last.
    burst = [api.ask("/limited")["answer"] for _ in range(6)]
    assert [answer["status"] for answer in burst[:3]] == ["200"] * 3
    assert (burst[-1]["status"], burst[-1]["body"]) == ("429", '{"message":"Too Many Requests"}')
    assert api.ask("/echo")["answer"]["status"] == "200"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_resumes_its_session_is_the_same_client(guarded: Api, version: ssl.TLSVersion) -> None:
    tls, session = guarded.clients["good"], None
    tls.minimum_version = tls.maximum_version = version
    for _ in range(3):
        plain = create_connection(("127.0.0.1", guarded.port), timeout=BOUND_SECONDS)
        with tls.wrap_socket(plain, server_hostname="api.example.com", session=session) as client:
            client.sendall(b"GET /echo HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
            session = client.session


def test_tls_is_1_2_or_better(guarded: Api) -> None:
    tls = ssl.create_default_context()
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.deprecated_call():
        tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_1
    plain = create_connection(("127.0.0.1", guarded.port), timeout=BOUND_SECONDS)
    with plain, pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        tls.wrap_socket(plain, server_hostname="api.example.com")


def test_there_is_no_http_2_in_the_clear(api: Api) -> None:
    with create_connection(("127.0.0.1", api.port), timeout=BOUND_SECONDS) as client:
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400 Bad Request\r\n")
