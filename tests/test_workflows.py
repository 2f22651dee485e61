"""CI knows every folder: a list that names them by hand must not forget one."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import FOLDERS, ROOT

WORKFLOWS = ROOT / ".github/workflows"


def test_every_folder_has_a_workflow_of_its_own_paths() -> None:
    for folder in FOLDERS:
        text = (WORKFLOWS / f"{folder}.yml").read_text()
        # YAML reads the key "on" as true.
        paths = yaml.safe_load(text)[True]["pull_request"]["paths"]
        assert paths == [f"{folder}/**", f".github/workflows/{folder}.yml"]
        assert f"make -C {folder} lint test" in text


def test_every_folder_can_be_deployed_by_hand() -> None:
    inputs = yaml.safe_load((WORKFLOWS / "deploy.yml").read_text())[True]["workflow_dispatch"]["inputs"]
    assert inputs["folder"]["options"] == list(FOLDERS)


def test_a_deploy_by_hand_takes_every_variable_of_its_environment(tmp_path: Path) -> None:
    # One that is left out would be taken back: an open API, an empty table, alarms that tell nobody.
    [job] = yaml.safe_load((WORKFLOWS / "deploy.yml").read_text())["jobs"].values()
    [step] = [step for step in job["steps"] if "VARIABLES" in step.get("env", {})]
    assert step["env"] == {"VARIABLES": "${{ toJSON(vars) }}"}
    names = {"VARIABLES": '{"AWS_REGION": "us-west-2", "AZ_IDS": "usw2-az1,usw2-az2"}'}
    environ = {**os.environ, **names, "GITHUB_ENV": str(tmp_path / "env")}
    subprocess.run(["bash", "-ec", step["run"]], env=environ, check=True)
    assert (tmp_path / "env").read_text() == "AWS_REGION=us-west-2\nAZ_IDS=usw2-az1,usw2-az2\n"


def test_every_action_is_pinned_by_commit() -> None:
    # A tag can be moved to other code, which would run with the credentials of a deploy.
    for path in WORKFLOWS.glob("*.yml"):
        for used in re.findall(r"uses: (.+)", path.read_text()):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), f"{path.name}: {used}"


def test_a_deploy_by_hand_downloads_all_that_it_runs_before_it_has_credentials() -> None:
    [job] = yaml.safe_load((WORKFLOWS / "deploy.yml").read_text())["jobs"].values()
    steps = [step.get("run") or step["uses"].partition("@")[0] for step in job["steps"]]
    assert steps[-3:] == [
        'make -C "$FOLDER" install',
        "aws-actions/configure-aws-credentials",
        'make -C "$FOLDER" deploy',
    ]


def test_a_deploy_by_hand_has_time_and_credentials_for_the_longest_roll() -> None:
    [job] = yaml.safe_load((WORKFLOWS / "deploy.yml").read_text())["jobs"].values()
    [credentials] = [step["with"] for step in job["steps"] if "role-to-assume" in step.get("with", {})]
    assert job["timeout-minutes"] >= 120
    assert credentials["role-duration-seconds"] >= 60 * job["timeout-minutes"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_npm_runs_no_code_of_a_package_that_it_installs(folder: str) -> None:
    npm = str(ROOT / folder / ".venv/bin/npm")
    asked = [npm, "config", "get", "ignore-scripts", "--userconfig", "/dev/null"]
    assert subprocess.check_output(asked, cwd=ROOT / folder, text=True) == "true\n"


def test_every_folder_has_an_owner() -> None:
    owned = [line.split()[0] for line in (ROOT / ".github/CODEOWNERS").read_text().splitlines() if line.startswith("/")]
    assert owned == [f"/{folder}/" for folder in FOLDERS]
