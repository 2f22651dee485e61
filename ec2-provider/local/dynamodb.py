"""DynamoDB on this machine, emulated by moto, with the table as the synthesized template defines it.

`python -m local.dynamodb TEMPLATE PORT`; its data is gone when it ends.
"""

import json
import logging
import signal
import sys
from pathlib import Path
from typing import Any

from flask import Flask
from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.serving import make_server

REGION, TABLE_NAME = "us-west-2", "todo"  # as the Makefile's LOCAL_SERVICE has them
# The emulation does not depend on these properties.
IGNORED = {"DeletionProtectionEnabled", "PointInTimeRecoverySpecification", "SSESpecification", "TableName", "Tags"}
NEEDED = {"AttributeDefinitions", "BillingMode", "KeySchema"}


def create_dynamodb(template: Path) -> Flask:
    """moto with the template's table; ValueError when the table has a property that is not known here."""
    resources = json.loads(template.read_text())["Resources"]
    tables = {name: body for name, body in resources.items() if body["Type"] == "AWS::DynamoDB::Table"}
    if len(tables) != 1:
        raise ValueError(f"expected one AWS::DynamoDB::Table in the template, found {len(tables)}")
    [(name, body)] = tables.items()
    properties = {key: value for key, value in body["Properties"].items() if key not in IGNORED}
    if wrong := properties.keys() ^ NEEDED:
        raise ValueError(f"{name} (AWS::DynamoDB::Table): unknown or missing: {', '.join(sorted(wrong))}")
    moto: Flask = create_backend_app("dynamodb")
    call(moto, "CreateTable", json.dumps({"TableName": TABLE_NAME, **properties}))
    return moto


def call(moto: Flask, action: str, request: str | bytes) -> None:
    """A request before the port is open."""
    credential = f"AWS4-HMAC-SHA256 Credential=local/20261122/{REGION}/dynamodb/aws4_request"
    headers = {"X-Amz-Target": f"DynamoDB_20120810.{action}", "Authorization": credential}
    answer = moto.test_client().post("/", data=request, headers=headers)
    if answer.status_code != 200:
        raise ValueError(f"moto refuses {action}: {answer.text}")


def serve(port: int, app: Any) -> None:
    """Until SIGINT or SIGTERM, one request at a time: a conditional write is atomic in DynamoDB, moto takes two steps."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # no line a request
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = make_server("127.0.0.1", port, app)
    print(f"DynamoDB is ready: http://127.0.0.1:{server.port}, table {TABLE_NAME} in {REGION}", flush=True)
    server.serve_forever()


def main(template: str, port: str) -> None:
    try:
        moto = create_dynamodb(Path(template))
    except ValueError as error:
        sys.exit(f"error: {error}")
    serve(int(port), moto)


if __name__ == "__main__":
    main(*sys.argv[1:])
