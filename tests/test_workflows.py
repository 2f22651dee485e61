"""The workflows know every folder, and a deploy by hand takes all its settings and runs only pinned code."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import FOLDERS, ROOT

# YAML reads the key "on" as true.
WORKFLOWS: dict[str, Any] = {
    path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github/workflows").glob("*.yml")
}
[DEPLOY] = WORKFLOWS["deploy"]["jobs"].values()


def test_every_folder_has_a_workflow_an_owner_and_a_deploy_by_hand() -> None:
    for folder in FOLDERS:
        paths = [f"{folder}/**", f".github/workflows/{folder}.yml"]
        assert WORKFLOWS[folder][True]["pull_request"]["paths"] == paths
    inputs = WORKFLOWS["deploy"][True]["workflow_dispatch"]["inputs"]
    assert inputs["folder"]["options"] == list(FOLDERS)
    owned = re.findall(r"^/(\S+)/ ", (ROOT / ".github/CODEOWNERS").read_text(), re.MULTILINE)
    assert owned == list(FOLDERS)


def test_a_deploy_by_hand_takes_every_variable_of_its_environment(tmp_path: Path) -> None:
    # A variable that is left out would be taken back: an open API, an empty table, alarms that tell nobody.
    [step] = [step for step in DEPLOY["steps"] if "VARIABLES" in step.get("env", {})]
    assert step["env"] == {"VARIABLES": "${{ toJSON(vars) }}"}
    given = {"AWS_REGION": "us-west-2", "AZ_IDS": "usw2-az1,usw2-az2"}
    environ = {**os.environ, "VARIABLES": json.dumps(given), "GITHUB_ENV": str(tmp_path / "env")}
    subprocess.run(["bash", "-ec", step["run"]], env=environ, check=True)
    assert (tmp_path / "env").read_text() == "AWS_REGION=us-west-2\nAZ_IDS=usw2-az1,usw2-az2\n"


def test_a_deploy_by_hand_changes_for_others_what_its_run_names() -> None:
    assert DEPLOY["steps"][-1]["env"] == {"ACCEPT": "${{ inputs.accept }}", "REPLACE": "${{ inputs.replace }}"}
    assert {"accept", "replace"} < {*WORKFLOWS["deploy"][True]["workflow_dispatch"]["inputs"]}


def test_every_action_is_pinned_by_commit() -> None:
    # A tag can be moved to other code, which would run with the credentials of a deploy.
    steps = [step for workflow in WORKFLOWS.values() for job in workflow["jobs"].values() for step in job["steps"]]
    for used in [step["uses"] for step in steps if "uses" in step]:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", used), used


def test_a_deploy_by_hand_downloads_everything_before_it_has_credentials() -> None:
    steps = [step.get("run") or step["uses"].partition("@")[0] for step in DEPLOY["steps"]]
    assert steps[-3:] == [
        'make -C "$FOLDER" install',
        "aws-actions/configure-aws-credentials",
        'make -C "$FOLDER" deploy',
    ]


def test_a_deploy_by_hand_has_time_and_credentials_for_the_longest_roll() -> None:
    [seconds] = [step["with"]["role-duration-seconds"] for step in DEPLOY["steps"] if "role-to-assume" in str(step)]
    assert seconds >= 60 * DEPLOY["timeout-minutes"] >= 7200


@pytest.mark.parametrize("folder", FOLDERS)
def test_npm_runs_no_code_of_a_package_that_it_installs(folder: str) -> None:
    npm = str(ROOT / folder / ".venv/bin/npm")
    asked = [npm, "config", "get", "ignore-scripts", "--userconfig", "/dev/null"]
    assert subprocess.check_output(asked, cwd=ROOT / folder, text=True) == "true\n"


def test_the_page_of_the_api_installs_one_package_that_is_pinned_by_hash() -> None:
    # Its bundle contains what npm calls its dependencies; `npm install` would write them into the lock.
    packages = json.loads((ROOT / "tools/page/package-lock.json").read_text())["packages"]
    assert packages.keys() == {"", "node_modules/@scalar/api-reference"}
    [package] = [package for place, package in packages.items() if place]
    assert package["integrity"].startswith("sha512-") and not {"dependencies", "resolved"} & package.keys()
