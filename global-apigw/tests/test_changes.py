"""A change of the registry is explained before a deploy: changes.toml has the changes and the lines."""

import copy
import re
import tomllib
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from common.changes import compare, lines
from infra.changes import compare_routes, remove_route_settings
from infra.settings import GatewaySettings
from tests.conftest import FOLDER, SETTINGS, synthesize

CHANGES = tomllib.loads(Path(__file__).with_name("changes.toml").read_text())["change"]
SECURED = (FOLDER / "examples/secured.toml").read_text()
CLIENTS = (FOLDER / "examples/clients.pem").read_text()
SERVICE = "com.amazonaws.vpce.us-west-2.vpce-svc-"
NAMES = {"DOGNAME_SERVICE_NAME": f"{SERVICE}1", "TODO_SERVICE_NAME": f"{SERVICE}2"}


def made(folder: Path, registry: str, **environ: str) -> dict[str, Any]:
    folder.mkdir()
    for name, text in (("clients.pem", CLIENTS), ("other.pem", f"{CLIENTS}\n")):
        (folder / name).write_text(text)
    (folder / "services.toml").write_text(registry)
    return synthesize(folder / "cdk.out", SERVICES=str(folder / "services.toml"), **NAMES | environ)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return made(tmp_path_factory.mktemp("deployed") / "it", SECURED)


@pytest.mark.parametrize("change", CHANGES, ids=lambda each: each["is"])
def test_a_change_is_explained(change: dict[str, Any], deployed: dict[str, Any], tmp_path: Path) -> None:
    old, other = change.get("old", ""), change.get("other")
    assert old in SECURED
    registry = SECURED.replace(old, change.get("new", ""))
    new = made(tmp_path / "new", registry, **({other: f"{SERVICE}0abc"} if other else {}))
    was = registry if "both" in change else SECURED.replace(old, change.get("from", old))
    before = deployed if was == SECURED else made(tmp_path / "old", was)
    pair = (new, before) if "back" in change else (before, new)
    said = lines(compare(*pair, GatewaySettings, compare_routes))
    assert len(said) == len(change["says"]), said
    for line, expected in zip(said, change["says"], strict=True):
        assert re.fullmatch(re.escape(expected).replace("…", ".*"), line), line


def test_the_stage_loses_the_settings_of_routes_that_the_template_has_no_more(
    deployed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.changes.deployed_template", lambda *_: deployed)
    session = MagicMock()
    session.client().get_paginator().paginate().search.return_value = ["an-api"]
    session.client().get_stage.return_value = {"RouteSettings": {"GET /todo": {}, "GET /gone": {}}}
    remove_route_settings(session, SETTINGS)
    session.client().delete_route_settings.assert_called_once_with(
        ApiId="an-api", StageName="$default", RouteKey="GET /gone"
    )


def test_a_stack_from_before_endpoints_had_names_is_compared(document: dict[str, Any]) -> None:
    old = copy.deepcopy(document)
    endpoints = [body["Properties"] for body in old["Resources"].values() if body["Type"] == "AWS::EC2::VPCEndpoint"]
    for endpoint in endpoints:
        [tag] = endpoint.pop("Tags")
        endpoint["SecurityGroupIds"] = [{"Ref": f"Sg{tag['Value']}"}]
        group = {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": f"endpoint of {tag['Value']}"}}
        old["Resources"][f"Sg{tag['Value']}"] = group
    assert len(endpoints) == 2 and compare_routes(old, document) == []
