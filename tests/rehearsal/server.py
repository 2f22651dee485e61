"""One moto server that plays every account of the rehearsal, and the record of the calls that it was sent.

`python -m tests.rehearsal.server PORT RECORD`: RECORD gets a JSON line a call: account, service, action.
"""

import gc
import io
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from moto.core.config import default_user_config
from moto.core.exceptions import InvalidClientTokenIdError
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from . import accounts, cloudformation, drift, http_apis, load_balancers, privatelink, quotas

MOTO = "5.2.5"
CREDENTIAL = re.compile(r"Credential=(\w+)/\d+/([\w-]+)/([\w-]+)/")


class Recorder:
    """Writes down every signed call before moto answers it, so that a crash is on record too."""

    def __init__(self, app: Callable[..., Iterable[bytes]], path: Path) -> None:
        self.app = app
        self.path = path

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if match := CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", "")):
            try:
                account = accounts.account_of(match[1])
            except InvalidClientTokenIdError:
                account = "unknown"
            call = {"account": account, "service": match[3], "action": action(environ)}
            with self.path.open("a") as record:
                record.write(json.dumps(call) + "\n")
        try:
            return self.app(environ, start_response)
        except Exception as crash:
            # moto answers its own failures with 500, which every SDK repeats: say at once what is wrong.
            traceback.print_exc()
            error = f"<Error><Code>MotoCrashed</Code><Message>{escape(repr(crash))}</Message></Error>"
            start_response("400 Bad Request", [("Content-Type", "text/xml")])
            return [f"<ErrorResponse>{error}</ErrorResponse>".encode()]


def action(environ: dict[str, Any]) -> str:
    """The name of the call, or method and path where the service has no names in its protocol."""
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return str(target).rpartition(".")[2]
    if "x-www-form-urlencoded" in environ.get("CONTENT_TYPE", ""):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(body)
        return str(parse_qs(body.decode())["Action"][0])
    return f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"


def install() -> None:
    """AWS's ways, where moto goes others."""
    gc.set_threshold(50_000, 20, 100)  # each full collection walks all that moto has imported and made
    default_user_config["lambda"]["use_docker"] = False  # functions are stored here, never run
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"  # thousands for each account and region, and none is used
    for module in (accounts, privatelink, quotas, load_balancers, http_apis, cloudformation, drift):
        module.install()


def main(port: int, record: Path) -> None:
    if version("moto") != MOTO:
        sys.exit(f"error: the rehearsal is bound to moto {MOTO}, installed is {version('moto')}")
    install()
    os.environ["AWS_ENDPOINT_URL"] = f"http://localhost:{port}"  # where the bindings send their calls
    app = Recorder(DomainDispatcherApplication(create_backend_app), record)
    make_server("127.0.0.1", port, app, threaded=True, request_handler=MotoRequestHandler).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
