"""`make diff` at the root: connections and cost, from the deployed templates to the new ones."""

import copy
import json
from pathlib import Path

import pytest

from tests.conftest import FOLDERS
from tools import changes, synth


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where each folder is deployed as it is; the CDK CLI has written paths into the metadata."""
    monkeypatch.setattr(changes, "ROOT", tmp_path)
    for folder in FOLDERS:
        new = synth.local(folder)
        deployed = copy.deepcopy(new)
        next(iter(deployed["Resources"].values()))["Metadata"] = {"aws:cdk:path": "x"}
        for path, document in ((".local/deployed.json", deployed), (f"cdk.out/{folder}.template.json", new)):
            (tmp_path / folder / path).parent.mkdir(parents=True)
            (tmp_path / folder / path).write_text(json.dumps(document))
    return tmp_path


def test_connections_and_cost_of_a_first_deploy_are_gained(place: Path) -> None:
    same, clients = changes.changes()
    assert clients.endswith("by the deployed contracts and the new ones: no change breaks them")
    total = same.split()[-3]
    assert same == f"idle cost a month: {total} USD deployed, {total} USD after"
    (place / "ecs-provider/.local/deployed.json").write_text("null")
    *gained, cost, clients = changes.changes()
    assert clients.endswith("not compared, because not all three stacks are deployed with their contracts")
    principal = "arn:aws:iam::111111111111:root"
    assert f"+ ecs-provider: {principal} reaches EndpointServiceNlb33FC43C5 on port 8080" in gained
    assert all(line.startswith("+ ecs-provider: ") for line in gained)
    assert cost.endswith(f", {total} USD after") and float(cost.split()[4]) < float(total)


def test_a_deployed_template_that_the_tools_do_not_know_is_said(place: Path) -> None:
    deployed = {"Resources": {"X": {"Type": "AWS::Wrong::Thing", "Properties": {}}}}
    (place / "global-apigw/.local/deployed.json").write_text(json.dumps(deployed))
    *_, last, _ = changes.changes()
    assert last == "not compared: X (AWS::Wrong::Thing): tools/resources.toml does not know the type"


def test_what_breaks_a_client_of_the_deployed_api_is_named(place: Path) -> None:
    for folder, old, new in (
        ("ecs-provider", "required: [name, gender]", "required: [name]"),
        ("global-apigw", '{ key = "GET /dogs/males" },', ""),
    ):
        path = place / folder / f"cdk.out/{folder}.template.json"
        template = json.loads(path.read_text())
        contract = template["Metadata"]["Contract"]
        assert contract.isascii() and old in contract
        path.write_text(json.dumps(template | {"Metadata": {"Contract": contract.replace(old, new)}}))
    *_, first, dogs, males, females = changes.changes()
    assert first.endswith("these changes break them")
    assert males == "! GET /dogs/males is removed"
    assert [dogs, females] == [
        f"! GET {path}: the answer > 200 > application/json may lack gender" for path in ("/dogs", "/dogs/females")
    ]
