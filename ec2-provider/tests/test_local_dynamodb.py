"""The local DynamoDB: its table is the template's, its writes take turns, and it refuses all that it does not know."""

import json
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import urlopen

import boto3
import pytest

from local.dynamodb import main, serve
from tests.conftest import FOLDER

TABLE = {
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
    "DeletionProtectionEnabled": True,
    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
}


def arguments(tmp_path: Path, port: int, *tables: dict[str, Any]) -> list[str]:
    resources = {f"Table{n}": {"Type": "AWS::DynamoDB::Table", "Properties": table} for n, table in enumerate(tables)}
    path = tmp_path / "template.json"
    path.write_text(json.dumps({"Resources": resources}))
    return [f"--template={path}", f"--port={port}"]


def test_serves_the_templates_table_until_sigterm(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "local.dynamodb", *arguments(tmp_path, port, TABLE)]
    with subprocess.Popen(command, cwd=FOLDER, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout and "ready" in process.stdout.readline()
            client = boto3.client("dynamodb", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-west-2")
            table = client.describe_table(TableName="todo")["Table"]
            assert {name: table.get(name) for name in ("KeySchema", "AttributeDefinitions")}.items() <= TABLE.items()
            assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


def test_a_conditional_write_is_atomic_because_requests_take_turns() -> None:
    events: list[str] = []

    def app(_: object, start_response: Any) -> list[bytes]:
        events.append("start")
        time.sleep(0.05)
        events.append("end")
        start_response("200 OK", [])
        return []

    def ask() -> None:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(urlopen, 3 * [f"http://127.0.0.1:{listener.getsockname()[1]}"]))
        signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=ask).start()
        serve(listener, app)
    signal.signal(signal.SIGTERM, before)
    assert events == 3 * ["start", "end"]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([{**TABLE, "Sparkles": True}], "Table0 .*Sparkles"),
        ([{**TABLE, "BillingMode": "sometimes"}], "moto refuses CreateTable: .*BillingMode is PROVISIONED"),
        ([], "found 0"),
        ([TABLE, TABLE], "found 2"),
    ],
)
def test_fails_when_the_template_has_not_one_table_of_known_properties(
    tmp_path: Path, tables: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(SystemExit, match=message):
        main(arguments(tmp_path, 0, *tables))


def test_fails_when_the_port_is_busy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(SystemExit, match=f"port {port} .*DYNAMODB_PORT"):
            main(arguments(tmp_path, port, TABLE))
