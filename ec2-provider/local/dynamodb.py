"""DynamoDB on this machine, emulated by moto, with the table as the synthesized template defines it.

`python -m local.dynamodb --template FILE --port N --table-name NAME`; what it holds is gone when it ends.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.serving import make_server
from werkzeug.test import EnvironBuilder, run_wsgi_app

STOP = {signal.SIGINT, signal.SIGTERM}


# How AWS keeps the table; nothing here depends on it.
KEEPING = {"DeletionProtectionEnabled", "PointInTimeRecoverySpecification", "SSESpecification", "TableName", "Tags"}
NEEDED = {"AttributeDefinitions", "BillingMode", "KeySchema"}


def table_definition(template: Path) -> dict[str, Any]:
    """What CreateTable takes, besides the name; ValueError for a property that is not known here."""
    resources = json.loads(template.read_text())["Resources"]
    tables = [name for name, body in resources.items() if body["Type"] == "AWS::DynamoDB::Table"]
    if len(tables) != 1:
        raise ValueError(f"expected one AWS::DynamoDB::Table in the template, found {len(tables)}")
    properties = resources[tables[0]]["Properties"]
    if wrong := (properties.keys() - KEEPING) ^ NEEDED:
        raise ValueError(f"{tables[0]} (AWS::DynamoDB::Table): unknown or missing: {', '.join(sorted(wrong))}")
    return {name: properties[name] for name in NEEDED}


def call(moto: Any, action: str, body: bytes, region: str) -> None:
    """Before the port is open: who connects finds what was stored by then."""
    credential = f"AWS4-HMAC-SHA256 Credential=local/20261122/{region}/dynamodb/aws4_request"
    headers = [("X-Amz-Target", f"DynamoDB_20120810.{action}"), ("Authorization", credential)]
    answer, status, _ = run_wsgi_app(moto, EnvironBuilder(method="POST", headers=headers, data=body).get_environ())
    if not status.startswith("200"):
        raise ValueError(f"{action} is refused: {b''.join(answer).decode()}")


def serve(listener: socket.socket, moto: Any) -> None:
    lock = Lock()

    def one_at_a_time(environ: Any, start_response: Any) -> Any:
        """A conditional write is atomic in DynamoDB; moto checks and writes in two steps."""
        with lock:
            return moto(environ, start_response)

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # no line a request
    server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True, fd=listener.fileno())
    Thread(target=server.serve_forever, daemon=True).start()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Run DynamoDB on this machine, with the template's table.")
    parser.add_argument("--template", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--table-name", required=True)
    parser.add_argument("--region", default="us-west-2", help="its clients' (us-west-2): a table is in one region")
    args = parser.parse_args(argv)
    try:
        definition = {"TableName": args.table_name, **table_definition(args.template)}
        moto = create_backend_app("dynamodb")
        call(moto, "CreateTable", json.dumps(definition).encode(), args.region)
        listener = socket.create_server(("127.0.0.1", args.port))
    except ValueError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: port {args.port} cannot be used ({os.strerror(error.errno or 0)}): change DYNAMODB_PORT")
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)  # in every thread from here on: sigwait takes them
    serve(listener, moto)
    print(f"DynamoDB is ready: http://127.0.0.1:{args.port}, table {args.table_name} in {args.region}", flush=True)
    signal.sigwait(STOP)


if __name__ == "__main__":
    main()
