"""The local DynamoDB: its table is the template's, its writes take turns, and it refuses all that it does not know."""

import json
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import urlopen

import boto3
import pytest

from local.dynamodb import main, serve
from tests.conftest import FOLDER, table_with_key

TABLE = {
    **table_with_key("id"),
    "DeletionProtectionEnabled": True,
    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
}


def write_template(tmp_path: Path, *tables: dict[str, Any]) -> str:
    resources = {f"Table{n}": {"Type": "AWS::DynamoDB::Table", "Properties": table} for n, table in enumerate(tables)}
    path = tmp_path / "template.json"
    path.write_text(json.dumps({"Resources": resources}))
    return str(path)


def test_serves_the_templates_table_until_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local.dynamodb", write_template(tmp_path, TABLE), "0"]
    with subprocess.Popen(command, cwd=FOLDER, stdout=subprocess.PIPE, text=True) as process, ExitStack() as stack:
        stack.callback(process.terminate)
        assert process.stdout
        [url] = re.findall(r"ready: (\S+),", process.stdout.readline())
        table = boto3.resource("dynamodb", "us-west-2", endpoint_url=url).Table("todo")
        assert table.key_schema == TABLE["KeySchema"]
        assert table.attribute_definitions == TABLE["AttributeDefinitions"]
        assert table.billing_mode_summary["BillingMode"] == TABLE["BillingMode"]
    assert process.returncode == 0


def test_a_conditional_write_is_atomic_because_requests_take_turns(capsys: pytest.CaptureFixture[str]) -> None:
    events: list[str] = []

    def app(_: object, start_response: Any) -> list[bytes]:
        events.append("start")
        time.sleep(0.05)
        events.append("end")
        start_response("200 OK", [])
        return []

    def ask() -> None:
        while not (said := capsys.readouterr().out):
            time.sleep(0.01)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(urlopen, 3 * [re.findall(r"http://[\d.:]+", said)[0]]))
        signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    Thread(target=ask).start()
    serve(0, app)
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
def test_fails_without_one_table_of_known_properties(tmp_path: Path, tables: list[Any], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        main(write_template(tmp_path, *tables), "0")
