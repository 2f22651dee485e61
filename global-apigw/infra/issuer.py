"""Whether the JWT issuer can be read: API Gateway refuses to create an authorizer whose discovery document it cannot get."""

from __future__ import annotations

import json
from urllib.error import URLError
from urllib.request import urlopen

from infra.guards import GuardError
from infra.services import Registry

TIMEOUT_SECONDS = 5


def check_issuer(registry: Registry) -> None:
    """The issuer's discovery document must name the issuer and where its keys are."""
    if registry.jwt is None:
        return
    issuer = registry.jwt.issuer
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - the registry admits https only
            document = json.load(answer)
    except (URLError, TimeoutError, ValueError) as error:
        raise GuardError(
            f"the JWT issuer {issuer} cannot be read at {url}: {error}; correct issuer in [api.jwt] of the registry"
        ) from None
    if document.get("issuer") != issuer or "jwks_uri" not in document:
        raise GuardError(
            f"{url} names the issuer {document.get('issuer')!r}, expected {issuer!r} and a jwks_uri; "
            "correct issuer in [api.jwt] of the registry, the slash at its end counts"
        )
