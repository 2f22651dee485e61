"""The guard that reads the JWT issuer's discovery document before a deploy."""

import io
import json
from typing import Any
from urllib.error import URLError

import pytest

from infra import issuer
from infra.guards import GuardError
from infra.issuer import check_issuer
from infra.services import Jwt, Registry, Throttle

ISSUER = "https://issuer.example.com/"


def registry(jwt: Jwt | None) -> Registry:
    return Registry(services=(), throttle=Throttle(1, 1), jwt=jwt, cors_origins=())


def answer(monkeypatch: pytest.MonkeyPatch, document: Any) -> list[str]:
    """The issuer's host answers with `document`, or fails with it; the URLs that were asked for."""
    asked: list[str] = []

    def urlopen(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        if isinstance(document, Exception):
            raise document
        return io.BytesIO(json.dumps(document).encode())

    monkeypatch.setattr(issuer, "urlopen", urlopen)
    return asked


def test_an_open_api_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(monkeypatch, URLError("no network"))
    check_issuer(registry(None))
    assert asked == []


def test_an_issuer_that_names_itself_and_its_keys_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(monkeypatch, {"issuer": ISSUER, "jwks_uri": "https://issuer.example.com/keys"})
    check_issuer(registry(Jwt(ISSUER, ("a",))))
    assert asked == ["https://issuer.example.com/.well-known/openid-configuration"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            URLError("no such host"),
            "cannot be read at https://issuer.example.com/.well-known/openid-configuration",
        ),
        (
            {"issuer": ISSUER.rstrip("/"), "jwks_uri": "x"},
            "expected 'https://issuer.example.com/' and a jwks_uri",
        ),
        ({"issuer": ISSUER}, "expected 'https://issuer.example.com/' and a jwks_uri"),
    ],
)
def test_fails_when_the_authorizer_could_not_be_created(
    monkeypatch: pytest.MonkeyPatch, document: Any, message: str
) -> None:
    answer(monkeypatch, document)
    with pytest.raises(GuardError) as error:
        check_issuer(registry(Jwt(ISSUER, ("a",))))
    assert message in str(error.value)
    assert "correct issuer in [api.jwt] of the registry" in str(error.value)
