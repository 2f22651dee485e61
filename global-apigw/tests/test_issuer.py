"""The check of the JWT issuer before a deploy, against a real server whose certificate signs itself."""

import gc
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread
from typing import Any

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from common.checks import CheckError
from infra import checks
from infra.checks import check_issuer
from infra.registry import Jwt
from tests.conftest import SETTINGS

GOOD = b'{"issuer": "OWN/", "jwks_uri": "OWN/keys"}'
# By the first segment of their path: the document, in which OWN is the issuer's URL, and the error.
WRONG = {
    "nowhere": (b"", "cannot be read at OWN/.well-known/openid-configuration: HTTP Error 404"),
    "cut": (b'9\r\n{"issuer', "IncompleteRead"),
    "stalls": (b"", "timed out"),
    "words": (b"<html>", "Expecting value"),
    "bytes": (b"\xff", "can't decode byte"),
    "deep": (b"[" * 100_000, "cannot be read at OWN/"),
    "large": (b" " * 1_000_001, "more than 1,000,000 bytes"),
    "list": (b"[1]", "names the issuer [1], expected 'OWN/' and a jwks_uri"),
    "slash": (GOOD.replace(b'OWN/"', b'OWN"'), "expected 'OWN/' and a jwks_uri"),
    "keyless": (b'{"issuer": "OWN/"}', "expected 'OWN/' and a jwks_uri"),
}


class Issuer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        if "Python" in self.headers["user-agent"]:
            return self.send_error(403)
        own = f"https://127.0.0.1:{self.server.server_port}/{kind}"  # type: ignore[attr-defined] # it is an HTTPServer
        body = WRONG.get(kind, (GOOD, ""))[0].replace(b"OWN", own.encode())
        self.send_response(404 if kind == "nowhere" else 200)
        if kind == "cut":
            self.send_header("transfer-encoding", "chunked")
        self.send_header("content-length", str(len(body) + (kind == "stalls")))
        self.end_headers()
        self.wfile.write(body)
        if kind == "stalls":
            Event().wait(30)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def certificate(to: Path) -> None:
    """A key, and a certificate for 127.0.0.1 that signs itself, in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    to.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's address; AWS_CA_BUNDLE has its certificate."""
    bundle = tmp_path_factory.mktemp("issuer") / "bundle.pem"
    certificate(bundle)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(bundle)
    with ThreadingHTTPServer(("127.0.0.1", 0), Issuer) as server, pytest.MonkeyPatch.context() as environ:
        environ.setenv("AWS_CA_BUNDLE", str(bundle))
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()


def check(issuer: str) -> None:
    """With a registry that names the issuer, or none."""
    jwt = Jwt(issuer=issuer, audience=["a"]) if issuer else None
    api = SETTINGS.registry.api.model_copy(update={"jwt": jwt})
    registry = SETTINGS.registry.model_copy(update={"api": api})
    check_issuer(boto3.Session(), replace(SETTINGS, registry=registry))


def test_an_open_api_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(checks, "urlopen")
    check("")


def test_an_issuer_that_names_itself_and_its_keys_passes(url: str) -> None:
    check(f"{url}/good/")


@pytest.mark.parametrize("kind", WRONG)
def test_fails_when_the_authorizer_could_not_be_created(url: str, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    if kind == "stalls":
        monkeypatch.setattr(checks, "ISSUER_TIMEOUT_SECONDS", 1)
    with pytest.raises(CheckError) as error:
        check(f"{url}/{kind}/")
    assert WRONG[kind][1].replace("OWN", f"{url}/{kind}") in str(error.value)
    assert "correct issuer in [api.jwt] of the registry" in str(error.value)
    sockets = [each for each in gc.get_objects() if isinstance(each, ssl.SSLSocket) and not each.server_side]
    assert [each for each in sockets if each.fileno() != -1] == []


@pytest.mark.parametrize("wrong", ["https://", "https://[", "https://a b/", "https://127.0.0.1:1/"])
def test_fails_when_nothing_is_there(wrong: str) -> None:
    with pytest.raises(CheckError, match="cannot be read at"):
        check(wrong)


def test_fails_when_the_sdk_does_not_trust_the_issuer(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE")
    with pytest.raises(CheckError, match="CERTIFICATE_VERIFY_FAILED"):
        check(f"{url}/good/")
