"""`python app.py`, as a person types it."""

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent.parent


def test_fails_when_settings_are_missing_with_exit_code_2_and_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=FOLDER, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert [line.split()[1] for line in done.stderr.splitlines() if line.startswith("error: ")] == [
        "AWS_ACCOUNT",
        "AWS_REGION",
        "API_GATEWAY_ACCOUNT_ARN",
    ]
