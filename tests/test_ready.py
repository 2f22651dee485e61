"""Where `make local` finds its own API, which may have one name only, and ask for certificates."""

import pytest

from tools import ready, synth

API = '[api]\ndefault_endpoint = false\ndomain = { name = "api.example.com"%s }\n'


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        ("[api]\n", "http://127.0.0.1:1"),
        (API % "", "--resolve api.example.com:1:127.0.0.1 http://api.example.com:1"),
        (API % ', truststore = "a.pem"', "--config global-apigw/.local/authority/curl https://api.example.com:1"),
    ],
)
def test_a_client_of_the_local_api_finds_it(registry: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synth, "registry", lambda: registry)
    assert ready.address(1) == expected
    assert ready.address(1, "todo") == "http://127.0.0.1:1"
