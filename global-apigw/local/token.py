"""Stands for a JWT issuer on this machine: makes a key once, and tokens that the local API accepts.

`python -m local.token keys KEY JWKS` writes a new key and its public half; `python -m local.token token KEY TEMPLATE`
prints a token with the template's issuer and audience.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from local.http_api import read_http_api
from local.template import Template

KEY_ID = "local"


def write_keys(key: Path, jwks: Path) -> None:
    """A new RSA key at `key`, readable by its owner only, and its public half as a JWK set at `jwks`."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key.touch(mode=0o600)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    public = jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    jwks.write_text(json.dumps({"keys": [{**public, "kid": KEY_ID, "alg": "RS256", "use": "sig"}]}))


def make_token(key: Path, claims: dict[str, Any]) -> str:
    """`claims` signed with the key at `key`."""
    return jwt.encode(claims, key.read_text(), algorithm="RS256", headers={"kid": KEY_ID})


def token_for(template: Path, key: Path, *, scope: str, subject: str, minutes: int) -> str:
    """A token for the first authorizer of the template; SystemExit when every route is open."""
    authorizers = [route.jwt for route in read_http_api(Template.load(template)).routes if route.jwt]
    if not authorizers:
        sys.exit(
            "error: no route of this registry asks for a token; choose one that does: SERVICES=examples/secured.toml"
        )
    now = int(time.time())
    claims = {"iss": authorizers[0].issuer, "aud": authorizers[0].audience[0], "sub": subject, "scope": scope}
    return make_token(key, {**claims, "iat": now, "nbf": now, "exp": now + minutes * 60})


def main() -> None:
    parser = argparse.ArgumentParser(prog="local.token", description="Keys and tokens for the local API.")
    commands = parser.add_subparsers(dest="command", required=True)
    keys = commands.add_parser("keys", help="write a new key and its public half")
    keys.add_argument("key", type=Path)
    keys.add_argument("jwks", type=Path)
    token = commands.add_parser("token", help="print a token")
    token.add_argument("key", type=Path)
    token.add_argument("template", type=Path)
    token.add_argument("--scope", default="", help="scopes, separated by spaces")
    token.add_argument("--subject", default="local-user")
    token.add_argument("--minutes", type=int, default=60)
    arguments = parser.parse_args()
    if arguments.command == "keys":
        write_keys(arguments.key, arguments.jwks)
    else:
        print(
            token_for(
                arguments.template,
                arguments.key,
                scope=arguments.scope,
                subject=arguments.subject,
                minutes=arguments.minutes,
            )
        )


if __name__ == "__main__":
    main()
