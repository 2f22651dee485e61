"""`make doctor` names each fault, and no other beside it. The faults are put into the accounts in this process."""

import json
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError

from tests.conftest import ROOT

from .bindings import client
from .environment import EC2, ECS, GATEWAY, REGION
from .faults import FAULTS, OWNERS, Parts, Patch, answer, deployed, opened, page, put, shown, sick
from .in_process import SECURED, Synth

# isort: split
# After faults.py, which makes them importable.
from common import doctor as provider
from common import follow, settled
from common.account import Account, UnseenError, all_stacks, stacks
from common.checks import CheckError
from common.hops import GROUP, group_hop
from common.settled import DOUBTS
from infra import checks, doctor
from infra.doctor import examine

pytestmark = pytest.mark.slow
SETTLED = tomllib.loads(Path(__file__).with_name("settled.toml").read_text())
ISSUER = {"issuer": SECURED["api"]["jwt"]["issuer"]}


def faults(*keys: str, route: str = "", fetch: Callable[[str], Any] = lambda url: ISSUER) -> list[str]:
    asked = [opened(each) for each in keys or (GATEWAY, ECS, EC2)]
    for each in asked:
        each.known.clear()
    found = examine(asked, route, fetch)
    return [*dict.fromkeys(hop.fault for hops in found.values() for hop in hops if hop.fault)]


@pytest.fixture(scope="module", autouse=True)
def all_three(synth: dict[str, Synth]) -> Iterator[None]:
    with deployed(synth):
        yield


def test_the_page_is_current() -> None:
    assert (ROOT / "docs/doctor.md").read_text() == page(), "python -m tests.rehearsal.faults > docs/doctor.md"


def test_nothing_is_broken() -> None:
    assert faults() == faults(GATEWAY) == []


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_is_named_and_no_other(name: str, monkeypatch: Patch) -> None:
    put(monkeypatch, FAULTS[name])
    assert [shown(each) for each in faults()] == [FAULTS[name]["says"]]


def refuse(*_: Any, **__: Any) -> None:
    raise OSError("timed out")


def test_an_issuer_of_another_name_is_named() -> None:
    [fault] = faults(fetch=lambda url: {"issuer": "x"})
    assert fault.startswith(f"401: the issuer {ISSUER['issuer']} calls itself x; platform-team ({GATEWAY}): ")


def test_what_the_gateway_s_account_cannot_see_is_said_with_whom_to_ask(
    monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = f"not seen (no profile for its account, or no right to read its stacks); ask the team of todo in {EC2} to run make doctor in its folder"
    monkeypatch.setattr(doctor, "open_accounts", lambda *_: [opened(GATEWAY)])
    monkeypatch.setattr(checks, "urlopen", refuse)
    with pytest.raises(SystemExit, match="1"):
        doctor.doctor(Mock(), Mock(), environ={"ROUTE": "GET /todo"})
    rows = capsys.readouterr().out.splitlines()
    assert f"unseen  provider          {ask}" in rows
    assert rows[-1].startswith(
        f"401: the issuer {ISSUER['issuer']} cannot be read from here (timed out); platform-team ("
    )
    sick(monkeypatch, 2, "Target.Timeout", GATEWAY)
    [fault] = faults(GATEWAY)
    assert fault.startswith("503: no healthy target behind todo (")
    assert fault.endswith(f"; platform-team ({GATEWAY}): {ask}")
    monkeypatch.setattr(Parts().service, "principals", [])
    [fault] = faults(GATEWAY)
    gone = f"503: the endpoint service vpce-svc-… of todo is gone, or does not admit {GATEWAY}; the team of todo: say which"
    assert shown(fault).startswith(gone)


def test_a_warning_hides_no_outage(monkeypatch: Patch) -> None:
    put(monkeypatch, FAULTS["group suspended"])
    sick(monkeypatch, 2, "Target.Timeout", EC2)
    assert {*map(shown, faults())} == {FAULTS[each]["says"] for each in ("group suspended", "no healthy target")}


def test_a_target_that_starts_beside_two_healthy_ones_is_no_fault(monkeypatch: Patch) -> None:
    third = {"Target": {"Id": "10.0.0.9"}, "TargetHealth": {"State": "initial"}}
    asked, account = Account.all, opened(GATEWAY)
    more = {"elbv2.describe_target_health": [third]}
    monkeypatch.setattr(Account, "all", lambda self, call, **given: asked(self, call, **given) + more.get(call, []))
    arn = next(iter(stacks(account)[0].of_type(GROUP)))
    hop = group_hop(stacks(account)[0], "targets", arn, "todo")
    assert (hop.fault, hop.state) == ("", "2 of 3 healthy (initial: 10.0.0.9)")


def test_what_follows_from_another_fault_is_marked(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Parts().end, "state", "deleted")
    assert len(faults()) == 1
    found = examine([opened(each) for each in OWNERS], "GET /todo", lambda url: ISSUER)["GET /todo"]
    assert {hop.name: hop.mark for hop in found if hop.mark != "ok"} == {"targets": "follows", "endpoint": "broken"}


def test_a_call_that_is_denied_leaves_the_rest_to_be_seen(monkeypatch: Patch) -> None:
    provider = opened(EC2)
    denied: Any = {"Error": {"Code": "UnauthorizedOperation", "Message": "You are not authorized"}}
    monkeypatch.setattr(provider.client("elbv2"), "get_paginator", Mock(side_effect=ClientError(denied, "any")))
    assert faults() == []
    found = examine([opened(GATEWAY), provider], "GET /todo", lambda url: ISSUER)["GET /todo"]
    [state] = [hop.state for hop in found if hop.mark == "unseen"]
    assert state == "not seen (elbv2.describe_listeners failed: UnauthorizedOperation, You are not authorized)"


def test_a_right_that_is_missing_hides_no_other_hop(monkeypatch: Patch) -> None:
    ask = Account._call

    def refuse_some(self: Account, call: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if self.id == EC2 and call in ("iam.get_role_policy", "ec2.describe_network_acls"):
            raise UnseenError(f"{call} failed: AccessDenied")
        return ask(self, call, arguments)

    monkeypatch.setattr(Account, "_call", refuse_some)
    assert faults() == []
    found = examine([*map(opened, OWNERS)], "GET /todo", lambda url: ISSUER)["GET /todo"]
    assert [hop.state for hop in found if hop.mark == "unseen"] == [
        f"not seen ({call} failed: AccessDenied)" for call in ("ec2.describe_network_acls", "iam.get_role_policy")
    ]
    assert found[-2].name == "table"


def test_an_endpoint_of_an_older_deploy_has_the_name_of_its_group(monkeypatch: Patch) -> None:
    gateway = opened(GATEWAY)
    assert faults(GATEWAY) == []
    [document] = [each["TemplateBody"] for call, each in gateway.known.items() if "get_template" in call]
    for body in document["Resources"].values():
        if body["Type"] == "AWS::EC2::VPCEndpoint":
            del body["Properties"]["Tags"]
        if body["Type"] == "AWS::EC2::SecurityGroup":
            body["Properties"]["GroupDescription"] = "endpoint of todo"
    monkeypatch.setattr(
        gateway, "known", {call: each for call, each in gateway.known.items() if "get_template" in call}
    )
    found = examine([gateway], "GET /todo", lambda url: ISSUER)["GET /todo"]
    assert "ask the team of todo in" in found[-1].state


def test_an_answer_of_an_unknown_shape_ends_in_a_sentence(monkeypatch: Patch) -> None:
    answer(monkeypatch, GATEWAY, "elbv2.describe_listeners", {"LoadBalancerArn": None})
    opened(GATEWAY).known.clear()
    found = examine([opened(GATEWAY)], "GET /todo", lambda url: ISSUER)["GET /todo"]
    assert found[-1].state.startswith("not seen (")


def test_a_folder_s_own_doctor_sees_its_own_part(monkeypatch: Patch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(provider, "Account", lambda *_: opened(EC2))
    opened(EC2).known.clear()
    with pytest.raises(SystemExit, match="0"):
        provider.examine_provider(Mock(), Mock(region=REGION, stack="ec2-provider"))
    rows = capsys.readouterr().out.splitlines()
    assert rows[-len(DOUBTS) - 2].startswith("settled by this deploy") and rows[-1] == "nothing is broken"
    sick(monkeypatch, 2, "Target.Timeout", EC2)
    opened(EC2).known.clear()
    with pytest.raises(SystemExit, match="1"):
        provider.examine_provider(Mock(), Mock(region=REGION, stack="ec2-provider"))
    *rows, sentence = capsys.readouterr().out.splitlines()
    assert [row.split("  ")[0].strip() for row in rows] == ["ok"] * 3 + ["broken"] + ["ok"] * 5
    assert shown(sentence) == FAULTS["no healthy target"]["says"]
    parts = Parts()
    monkeypatch.setattr(parts.end, "state", "pendingAcceptance")
    opened(EC2).known.clear()
    with pytest.raises(SystemExit, match="1"):
        provider.examine_provider(Mock(), Mock(region=REGION, stack="ec2-provider"))
    said = capsys.readouterr().out.splitlines()[-2:]
    assert [*map(shown, said)] == [FAULTS[each]["says"] for each in ("endpoint pending", "no healthy target")]


def test_a_folder_s_own_doctor_looks_at_both_listeners(monkeypatch: Patch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(provider, "Account", lambda *_: opened(ECS))
    monkeypatch.setattr(Parts().certificate, "status", "EXPIRED")
    opened(ECS).known.clear()
    with pytest.raises(SystemExit, match="1"):
        provider.examine_provider(Mock(), Mock(region=REGION, stack="ecs-provider"))
    *rows, sentence = capsys.readouterr().out.splitlines()
    assert [row.split()[4] for row in rows if "provider NLB" in row] == ["8080,", "8443,"]
    assert sum("certificate" in row for row in rows) == sum("provider targets" in row for row in rows) == 1
    assert shown(sentence).startswith(
        "500: the certificate of dog-names is EXPIRED, of internal.example.com, expected ISSUED, of the"
    )


@pytest.mark.parametrize("mark", ["same", "differs"])
@pytest.mark.parametrize("name", SETTLED)
def test_a_deploy_settles_what_can_be_read(name: str, mark: str, monkeypatch: Patch) -> None:
    ask, wanted = Account._call, DOUBTS[name]["call"]
    monkeypatch.setattr(
        Account,
        "_call",
        lambda self, call, arguments: SETTLED[name][mark] if call == wanted else ask(self, call, arguments),
    )
    monkeypatch.setattr(settled, "DOUBTS", {name: DOUBTS[name]})
    for account in map(opened, OWNERS):
        account.known.clear()
    _, line = settled.settle([*all_stacks([*map(opened, OWNERS)])])
    assert line.startswith(f"{mark:<7} {name} ")
    assert ("; send back" in line) is (mark == "differs")


def test_what_nobody_has_seen_yet_is_not_settled() -> None:
    opened(GATEWAY).known.clear()
    lines = [*settled.settle([*all_stacks([opened(GATEWAY)])])][1:]
    assert {name: line[:7].strip() for name, line in zip(DOUBTS, lines, strict=True)} == {
        **dict.fromkeys(DOUBTS, "by hand"),
        **dict.fromkeys(SETTLED, "not yet"),
        "zone-ids": "differs",  # moto gives the names of zones alone
        "health-of-endpoints": "same",
        "instance-type-in-zone": "unseen",
    }


def test_a_request_is_followed_through_the_accounts(monkeypatch: Patch, capsys: pytest.CaptureFixture[str]) -> None:
    request, now = "JKJaXmPLvHcESHA=", int(datetime.now(UTC).timestamp() * 1000)
    service = {"time": follow.moment(now + 5), "requestId": request, "status": 200, "durationMs": 1.5}
    api = {"time": str(now), "requestId": request, "route": "GET /dogs", "status": "200", "latency": "12"}
    for account, name, lines in (
        (GATEWAY, "AccessLog", [api, {**api, "requestId": "other"}]),
        (ECS, "DogNames", [service]),
    ):
        logs = client("logs", account, REGION)
        [group] = [
            each["logGroupName"] for each in logs.describe_log_groups()["logGroups"] if name in each["logGroupName"]
        ]
        logs.create_log_stream(logGroupName=group, logStreamName="s")
        events = [{"timestamp": now, "message": json.dumps(each)} for each in lines]
        logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    monkeypatch.setattr(follow, "open_accounts", lambda *_: [*map(opened, OWNERS)])
    follow.follow(Mock(), Mock(), environ={"REQUEST": request})
    head, *rows = [line.split()[:5] for line in capsys.readouterr().out.splitlines()]
    assert head == ["time", "where", "account", "status", "ms"]
    assert rows == [
        [follow.moment(now), "global-apigw", GATEWAY, "200", "12"],
        [service["time"], "ecs-provider", ECS, "200", "1.5"],
    ]
    with pytest.raises(SystemExit, match="1"):
        follow.follow(Mock(), Mock(), environ={"REQUEST": "unknown-request"})
    said = capsys.readouterr().err
    assert said.startswith("error: no line has unknown-request; looked in ")
    assert f"({GATEWAY})" in said and f"({ECS})" in said and ", from 20" in said
    with pytest.raises(CheckError, match="REQUEST is empty, expected the value of an answer's header apigw-requestid"):
        follow.follow(Mock(), Mock(), environ={})


def test_a_wrong_route_is_answered_with_the_routes() -> None:
    with pytest.raises(
        CheckError, match="ROUTE is GET /cats, expected one of the deployed routes, which are GET /dogs, "
    ):
        faults(route="GET /cats")
    with pytest.raises(
        CheckError, match=f"expected the stack global-apigw in {EC2}, which has none; deploy it, or correct AWS_ACCOUNT"
    ):
        faults(EC2)
