"""Serves the synthesized API on loopback: python -m local --help."""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from local.authority import issue
from local.certificate import mutual_tls
from local.envoy import translate
from local.http_api import read_http_api
from local.template import Template, TemplateError


def endpoint(text: str) -> tuple[str, int]:
    """NAME=127.0.0.1:PORT as (name, port); argparse turns a ValueError into an error of usage."""
    name, port = text.split("=127.0.0.1:")
    return name, int(port)


def main() -> None:
    parser = argparse.ArgumentParser(prog="local", description="Serve a synthesized HTTP API with Envoy.")
    parser.add_argument("template", type=Path, help="the synthesized template of global-apigw")
    parser.add_argument("--endpoint", type=endpoint, action="append", default=[], metavar="NAME=127.0.0.1:PORT")
    parser.add_argument("--port", type=int, required=True, help="where the API listens on 127.0.0.1")
    parser.add_argument("--jwks", type=Path, help="public keys that stand for the JWT issuer's")
    parser.add_argument(
        "--config",
        type=Path,
        required=True,
        help="where the Envoy configuration is written, and certificates beside it",
    )
    parser.add_argument("--envoy", default="envoy", help="the envoy program")
    arguments = parser.parse_args()
    envoy = shutil.which(arguments.envoy)
    if not envoy:
        sys.exit(
            f"error: no {arguments.envoy!r} on PATH: no Envoy wheel exists for this machine; "
            "install Envoy 1.40 and say where: make … ENVOY=/path/to/envoy"
        )
    try:
        api = read_http_api(Template(json.loads(arguments.template.read_text())))
        jwks = arguments.jwks.read_text() if arguments.jwks else '{"keys": []}'
        authority = (arguments.config.parent / "authority").resolve()
        for name in {route.integration.server_name for route in api.routes} - {""}:
            if not (authority / f"{name}.pem").exists():
                issue(authority, name, name)
        tls = mutual_tls(api, arguments.template, authority, str(arguments.port))
        ports = dict(arguments.endpoint)
        config = translate(api, ports, port=arguments.port, jwks=jwks, authority=authority, tls=tls)
    except TemplateError as error:
        print(f"error: {arguments.template}: {error}", file=sys.stderr)
        sys.exit(2)
    arguments.config.write_text(json.dumps(config, indent=1))
    command = [envoy, "-c", str(arguments.config), "--disable-hot-restart", "--log-level", "warning"]
    # One worker thread is plenty for one developer, and leaves the other CPUs to the services.
    command += ["--concurrency", "1", "--file-flush-interval-msec", "200"]
    os.execv(envoy, command)  # noqa: S606 - no shell is wanted: Envoy takes this process's place


if __name__ == "__main__":
    main()
