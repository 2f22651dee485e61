"""The rows of parity.yaml: how a request of them is sent, and where the answer differs from the expected one."""

import re
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from functools import partial
from http.client import HTTPConnection, HTTPSConnection
from json import loads
from typing import Any
from urllib.parse import urlsplit

import jwt
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.conftest import FOLDER

BOUND_SECONDS = 30
ROWS = yaml.safe_load((FOLDER / "tests/parity.yaml").read_text())["rows"]
Parts = dict[str, dict[str, str]]


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def forge_subject(token: str) -> str:
    """The signature of a good token over another subject."""
    head, _, signature = token.split(".")
    return f"{head}.{jwt.encode({**claims_of(token), 'sub': 'eve'}, 'k' * 32).split('.')[1]}.{signature}"


def forge_key(token: str) -> str:
    """The claims of a good token, signed by somebody else's key under the same key id."""
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims_of(token), other, algorithm="RS256", headers=jwt.get_unverified_header(token))


FORGERIES: dict[str, Callable[[str], str]] = {
    "": lambda token: token,
    "another subject": forge_subject,
    "another key": forge_key,
    "no signature": lambda token: jwt.encode(claims_of(token), "", algorithm="none"),
}


def ask(
    url: str, method: str, path: str, headers: Sequence[str] = (), body: int = 0, tls: ssl.SSLContext | None = None
) -> Parts:
    """The `answer` to a request with a body of so many bytes and, if it came from there, the part of the `backend`."""
    parts = urlsplit(url)
    kind = partial(HTTPSConnection, context=tls) if parts.scheme == "https" else HTTPConnection
    connection = kind(str(parts.hostname), parts.port, timeout=BOUND_SECONDS)
    pairs = [header.split(": ", 1) for header in headers]
    has_host = any(name == "Host" for name, _ in pairs)
    with closing(connection):
        try:
            connection.putrequest(method, path, skip_host=has_host, skip_accept_encoding=True)
            for name, value in [*pairs, *([("content-length", str(body))] if body else [])]:
                connection.putheader(name, value)
            with suppress(BrokenPipeError, ConnectionResetError):  # an answer may come before the end of the body
                connection.endheaders(bytes(body) if body else None)
            response = connection.getresponse()
        except ssl.SSLCertVerificationError:  # the API's own certificate is wrong
            raise
        except (ssl.SSLError, ConnectionResetError):
            return {"answer": {"connection": "refused"}}
        text = response.read().decode()
    answer = {name.lower(): value for name, value in response.getheaders()}
    seen = loads(text) if text.startswith('{"backend"') else {}
    return {"answer": {**answer, "status": str(response.status), "body": text}, **seen}


def differences(expected: dict[str, dict[str, Any]], came: Parts, **values: str) -> list[str]:
    """What is not as expected; `values` fill the patterns."""
    found = []
    for part, fields in expected.items():
        for field, pattern in fields.items():
            for name, each in values.items():
                pattern = pattern and str(pattern).replace(f"{{{name}}}", re.escape(each))
            value = came[part].get(field) if part in came else "no such part"
            if not (value is None if pattern is None else re.fullmatch(str(pattern), value or "")):
                found.append(f"{part}.{field} is {value!r}, expected {pattern!r}")
    return found


def wait_until(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + BOUND_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what()[-2000:]
        time.sleep(0.05)
