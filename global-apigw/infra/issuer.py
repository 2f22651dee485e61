"""Whether the JWT issuer can be read: API Gateway refuses to create an authorizer whose discovery document it cannot get."""

from __future__ import annotations

import json
import ssl
from http.client import HTTPException
from typing import Any
from urllib.request import Request, urlopen

import boto3
from botocore.httpsession import get_cert_path
from botocore.session import Session

from common.checks import CheckError
from infra.settings import GatewaySettings

TIMEOUT_SECONDS = 5
MAX_BYTES = 1_000_000
# Some hosts refuse the name that Python's client gives itself.
HEADERS = {"User-Agent": "global-apigw"}


def check_issuer(_: boto3.Session, settings: GatewaySettings) -> None:
    """The issuer's discovery document must name the issuer and where its keys are."""
    if settings.registry.api.jwt is None:
        return
    issuer = settings.registry.api.jwt.issuer
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        document = _read(url)
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        raise CheckError(
            f"the JWT issuer {issuer} cannot be read at {url}: {error}; correct issuer in [api.jwt] of the registry"
        ) from None
    named = document.get("issuer") if isinstance(document, dict) else document
    if named != issuer or "jwks_uri" not in document:
        raise CheckError(
            f"{url} names the issuer {named!r}, expected {issuer!r} and a jwks_uri; "
            "correct issuer in [api.jwt] of the registry, the slash at its end counts"
        )


def _read(url: str) -> Any:
    """The JSON at `url`, which must be certified by whom the AWS SDK trusts: AWS_CA_BUNDLE, or what it brings along."""
    bundle = get_cert_path(Session().get_config_variable("ca_bundle") or True)
    tls = ssl.create_default_context(cafile=bundle)
    request = Request(url, headers=HEADERS)  # noqa: S310 - the registry admits https only
    with urlopen(request, timeout=TIMEOUT_SECONDS, context=tls) as answer:  # noqa: S310 - the same
        body = answer.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES:,} bytes")
    return json.loads(body)
