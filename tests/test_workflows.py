"""CI knows every folder: a list that names them by hand must not forget one."""

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


def test_every_folder_has_an_owner() -> None:
    owned = [
        line.split()[0]
        for line in (ROOT / ".github/CODEOWNERS").read_text().splitlines()
        if line.startswith("/")
    ]
    assert owned == [f"/{folder}/" for folder in FOLDERS]
