"""The local run's own certificates: a client gets one, and the truststore is found beside the template."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.certificate import main, mutual_tls
from local.http_api import read_http_api
from local.template import Template, TemplateError
from tests.conftest import FOLDER


def test_a_client_gets_a_certificate_and_the_curl_that_sends_it(
    production: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "template.json").write_text(json.dumps(production))
    uri = read_http_api(Template(production)).truststore
    (tmp_path / f"asset.{uri.rpartition('/')[2]}").write_bytes((FOLDER / "examples/clients.pem").read_bytes())
    main(tmp_path / "template.json", tmp_path / "authority", "8080")
    assert capsys.readouterr().out == f"curl --config {tmp_path}/authority/curl https://api.example.com:8080/dogs\n"
    assert (tmp_path / "authority/client-key.pem").stat().st_mode & 0o777 == 0o600
    assert 'resolve = "api.example.com:8080:127.0.0.1"' in (tmp_path / "authority/curl").read_text()


def test_fails_when_no_certificate_is_asked_for(document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "template.json").write_text(json.dumps(document))
    with pytest.raises(SystemExit, match=r"asks for no certificate; choose SERVICES=examples/production.toml"):
        main(tmp_path / "template.json", tmp_path, "8080")


def test_fails_when_the_truststore_is_not_beside_the_template(production: dict[str, Any], tmp_path: Path) -> None:
    api = read_http_api(Template(production))
    with pytest.raises(TemplateError, match=r"asset\.\w+\.pem is missing, which is the truststore s3://"):
        mutual_tls(api, tmp_path / "template.json", tmp_path, "8080")
