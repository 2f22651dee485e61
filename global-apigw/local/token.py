"""Stands for a JWT issuer on this machine: makes a key once, and tokens that the local API accepts.

`python -m local.token keys KEY JWKS` writes a new key and its public half; `python -m local.token token KEY TEMPLATE`
prints a token with the template's issuer and audience, valid for an hour.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from local.http_api import read_http_api
from local.template import Template

KEY_ID = "local"


def write_keys(key: Path, jwks: Path) -> None:
    """A new RSA key at `key`, readable by its owner only, and its public half as a JWK set at `jwks`."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key.touch(mode=0o600)
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    jwks.write_text(json.dumps({"keys": [{**public, "kid": KEY_ID, "alg": "RS256", "use": "sig"}]}))


def make_token(key: Path, claims: dict[str, Any]) -> str:
    """`claims` signed with the key at `key`."""
    return jwt.encode(claims, key.read_text(), algorithm="RS256", headers={"kid": KEY_ID})


def main() -> None:
    parser = argparse.ArgumentParser(prog="local.token", description="Keys and tokens for the local API.")
    parser.add_argument("command", choices=["keys", "token"], help="write a new key and its public half; print a token")
    parser.add_argument("key", type=Path)
    parser.add_argument("file", type=Path, help="of keys: the public half; of token: the template")
    parser.add_argument("--scope", default="", help="scopes of the token, separated by spaces")
    arguments = parser.parse_args()
    if arguments.command == "keys":
        return write_keys(arguments.key, arguments.file)
    template = Template(json.loads(arguments.file.read_text()))
    authorizers = [route.jwt for route in read_http_api(template).routes if route.jwt]
    if not authorizers:
        sys.exit("error: no route of this registry asks for a token; choose SERVICES=examples/secured.toml")
    now = int(time.time())
    claims = {"iss": authorizers[0]["Issuer"], "aud": authorizers[0]["Audience"][0], "sub": "local-user"}
    print(make_token(arguments.key, {**claims, "scope": arguments.scope, "iat": now, "nbf": now, "exp": now + 3600}))


if __name__ == "__main__":
    main()
