"""The local DynamoDB: its table is the template's, and it tells what it cannot do."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.dynamodb import main, table_definition
from tests.conftest import FOLDER

TABLE = {
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
    "DeletionProtectionEnabled": True,
    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
}


def template(tmp_path: Path, *tables: dict[str, Any]) -> Path:
    resources = {f"Table{n}": {"Type": "AWS::DynamoDB::Table", "Properties": table} for n, table in enumerate(tables)}
    path = tmp_path / "template.json"
    path.write_text(json.dumps({"Resources": resources}))
    return path


def test_serves_the_templates_table_until_sigterm(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = [f"--template={template(tmp_path, TABLE)}", f"--port={port}", "--table-name=todo"]
    command = [sys.executable, "-m", "local.dynamodb", *arguments]
    with subprocess.Popen(command, cwd=FOLDER, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout and "ready" in process.stdout.readline()
            url = f"http://127.0.0.1:{port}"
            client = boto3.client("dynamodb", endpoint_url=url, region_name="us-west-2")
            table = client.describe_table(TableName="todo")["Table"]
            assert {name: table.get(name) for name in ("KeySchema", "AttributeDefinitions")}.items() <= TABLE.items()
            assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


def test_fails_when_a_property_is_unknown(tmp_path: Path) -> None:
    path = template(tmp_path, {**TABLE, "Sparkles": True})
    with pytest.raises(ValueError, match=r"Table0 .*Sparkles"):
        table_definition(path)


@pytest.mark.parametrize("tables", [[], [TABLE, TABLE]])
def test_fails_when_the_table_is_not_one(tmp_path: Path, tables: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match=f"found {len(tables)}"):
        table_definition(template(tmp_path, *tables))


def test_fails_when_the_port_is_busy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(SystemExit, match=f"port {port} .*DYNAMODB_PORT"):
            main([f"--template={template(tmp_path, TABLE)}", f"--port={port}", "--table-name=todo"])
