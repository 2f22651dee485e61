"""`make doctor` names each fault, and no other beside it. The faults are put into the accounts in this process."""

import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.apigatewayv2.models import VpcLink, apigatewayv2_backends
from moto.autoscaling.models import autoscaling_backends
from moto.cloudformation.models import cloudformation_backends
from moto.dynamodb.models import dynamodb_backends
from moto.ec2.models import ec2_backends
from moto.ecr.models import ecr_backends
from moto.ecs.models import ecs_backends
from moto.elbv2.models import elbv2_backends
from moto.iam.models import iam_backends

from tests.conftest import ROOT

from . import load_balancers
from .bindings import client
from .environment import EC2, ECS, FOLDER, GATEWAY, REGION, access_key
from .in_process import SECURED, Synth, accounts, deploy

sys.path.append(str(ROOT / "global-apigw"))  # last: the folder has tests of its own

from common import doctor as provider
from common import settled
from common.account import Account
from common.checks import CheckError
from common.settled import DOUBTS
from infra import doctor, hops
from infra.doctor import examine

pytestmark = pytest.mark.slow
FAULTS = tomllib.loads(Path(__file__).with_name("doctor.toml").read_text())
SETTLED = tomllib.loads(Path(__file__).with_name("settled.toml").read_text())
OWNERS = {GATEWAY: "platform-team", ECS: "dogs-team", EC2: "todo-team"}
ISSUER = {"issuer": SECURED["api"]["jwt"]["issuer"]}
MANIFEST = '{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}'
Patch = pytest.MonkeyPatch
health_in_moto = load_balancers.health


@cache
def opened(account: str) -> Account:
    keys = {"aws_access_key_id": access_key(account), "aws_secret_access_key": "unchecked"}
    return Account(boto3.Session(**keys), REGION)  # type: ignore[arg-type] # keys are strings


def faults(*keys: str, route: str = "", fetch: Callable[[str], Any] = lambda url: ISSUER) -> list[str]:
    asked = [opened(each) for each in keys or (GATEWAY, ECS, EC2)]
    for each in asked:
        each.known.clear()
    found = examine(asked, route, fetch)
    return [*dict.fromkeys(hop.fault for hops in found.values() for hop in hops if hop.fault)]


@pytest.fixture(scope="module", autouse=True)
def deployed(synth: dict[str, Synth]) -> Iterator[None]:
    """All three; two tasks of dog-names run, which moto does not start, and their image is there."""
    with accounts(), pytest.MonkeyPatch.context() as patch:
        names = {}
        for account, variable in ((ECS, "DOGNAME_SERVICE_NAME"), (EC2, "TODO_SERVICE_NAME")):
            deploy(account, synth[FOLDER[account]]())
            ec2 = client("ec2", account, REGION)
            [service] = ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
            names[variable] = service["ServiceName"]
        deploy(GATEWAY, synth[FOLDER[GATEWAY]](SECURED, **names))
        for account, owner in OWNERS.items():  # the CDK CLI sets them; they are not in the template
            cloudformation_backends[account][REGION].get_stack(FOLDER[account]).tags = {
                "owner": owner,
                "service": owner.replace("dogs", "dog-names").removesuffix("-team"),
            }
        elb, ecr = client("elbv2", ECS, REGION), client("ecr", ECS, REGION)
        [group] = elb.describe_target_groups()["TargetGroups"]
        tasks = [{"Id": f"10.0.0.{number}", "Port": 8080} for number in (8, 9)]
        elb.register_targets(TargetGroupArn=group["TargetGroupArn"], Targets=tasks)
        for service in ecs_backends[ECS][REGION].services.values():
            service.desired_count = 2  # CloudFormation's default is 1, and scaling has a minimum of 2
        ecr.create_repository(repositoryName="dog-names")
        ecr.put_image(repositoryName="dog-names", imageTag="local", imageManifest=MANIFEST)
        patch.setattr(load_balancers, "health", health)
        yield


def health(balancers: Any, target: Any) -> tuple[str, str | None]:
    return ("healthy", None) if balancers.account_id == ECS else health_in_moto(balancers, target)


class Parts:
    """What moto keeps of the way to todo, and of dog-names' image."""

    def __init__(self) -> None:
        ec2 = ec2_backends[GATEWAY][REGION]
        self.provider_ec2 = ec2_backends[EC2][REGION]
        [self.service] = self.provider_ec2.configurations.values()
        [self.end] = [each for each in ec2.vpc_end_points.values() if each.service_name == self.service.service_name]
        self.interface = ec2.enis[self.end.network_interface_ids[0]]
        gateway, provider = elbv2_backends[GATEWAY][REGION], elbv2_backends[EC2][REGION]
        [self.balancer], [self.provider] = gateway.load_balancers.values(), provider.load_balancers.values()
        [self.listener] = [arn for arn, each in self.balancer.listeners.items() if str(each.port) == "8082"]
        [self.group] = provider.target_groups.values()
        api = apigatewayv2_backends[GATEWAY][REGION]
        [link], [http] = api.vpc_links.values(), api.apis.values()
        self.stage = http.stages["$default"]
        groups = link.sg_ids, self.balancer.security_groups, self.end.security_group_ids
        self.link, self.own, self.ends = (ec2.get_security_group_from_id(ids[0]) for ids in groups)
        provided = self.provider_ec2.groups[self.provider.vpc_id]
        [self.fleet_sg] = [each for each in provided.values() if each.description == "todo instances"]
        self.provider_sg = self.provider_ec2.get_security_group_from_id(self.provider.security_groups[0])
        [self.fleet] = autoscaling_backends[EC2][REGION].autoscaling_groups.values()
        [self.role] = iam_backends[EC2]["aws"].roles.values()
        [self.tables] = [each for each in self.provider_ec2.vpc_end_points.values() if "dynamodb" in each.service_name]
        [self.acl] = [each for each in self.provider_ec2.network_acls.values() if each.vpc_id == self.provider.vpc_id]
        [self.tasks] = ecs_backends[ECS][REGION].services.values()
        self.database = dynamodb_backends[EC2][REGION]
        self.repository = ecr_backends[ECS][REGION].repositories["dog-names"]


def sick(patch: Patch, count: int, reason: str, *accounts: str) -> None:
    """So many targets of todo are unhealthy; the addresses of its endpoint end in .5."""
    seen: dict[str, list[str]] = {}

    def judge(balancers: Any, target: Any) -> tuple[str, str | None]:
        if balancers.account_id not in accounts or not re.search(r"^i-|\.5$", target[1]):
            return health(balancers, target)
        first = seen.setdefault(target[0], [])
        first += [target[1]] * (len(first) < count and target[1] not in first)
        return ("unhealthy", reason) if target[1] in first else ("healthy", None)

    patch.setattr(load_balancers, "health", judge)


def answer(patch: Patch, account: str, wanted: str, more: dict[str, Any]) -> None:
    """What moto does not know is added to each item of an answer."""
    asked, ask = opened(account), Account._call

    def call(self: Account, call: str, arguments: dict[str, Any]) -> dict[str, Any]:
        found = ask(self, call, arguments)
        if self is asked and call == wanted:
            [listed] = [value for value in found.values() if isinstance(value, list)]
            return {"": [each | more for each in listed]}
        return found

    patch.setattr(Account, "_call", call)


def shown(sentence: str) -> str:
    """Without what differs from run to run."""
    sentence = re.sub(r"\b(vpce-svc|vpce|sg|i|acl)-[0-9a-f]+", r"\1-…", sentence)
    sentence = re.sub("ec2-provider-DatabaseTable[\\w-]+", "TABLE", sentence)
    sentence = re.sub(r"\b(ec2|ecs)-provider-([A-Z][A-Za-z]+)[0-9A-F]{8}-\w+", r"\2-…", sentence)
    return re.sub(r"arn:aws:elasticloadbalancing:[^ ;]+", "ARN", re.sub("VPC link [a-z]{8}", "VPC link LINK", sentence))


def page() -> str:
    """docs/doctor.md: python -m tests.rehearsal.test_doctor > docs/doctor.md"""
    rows = "".join(f"| {name} | {fault['says']} |\n" for name, fault in FAULTS.items())
    return f"""# What the doctor says

Each fault was put into three emulated accounts, and this is all that [`make doctor`](operate.md#from-alarm-to-cause) then said.
… stands for the rest of an id. `tests/rehearsal/doctor.toml` has the faults, and a test holds this page.

| fault | sentence |
|---|---|
{rows}"""


def test_the_page_is_current() -> None:
    assert (ROOT / "docs/doctor.md").read_text() == page(), "python -m tests.rehearsal.test_doctor > docs/doctor.md"


def test_nothing_is_broken() -> None:
    assert faults() == faults(GATEWAY) == []


def put(patch: Patch, fault: dict[str, Any]) -> None:
    """The fault, into the accounts."""
    parts, as_in_moto = Parts(), VpcLink.to_json
    for part, attribute, value in fault.get("set", []):
        patch.setattr(getattr(parts, part), attribute, value)
    if "listener" in fault:
        patch.delitem(parts.balancer.listeners, parts.listener)
    if "sick" in fault:
        sick(patch, *fault["sick"])
    if "answer" in fault:
        answer(patch, *fault["answer"])
    patch.setattr(VpcLink, "to_json", lambda self: as_in_moto(self) | fault.get("link", {}))


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
    monkeypatch.setattr(hops, "urlopen", refuse)
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
    sick(monkeypatch, 2, "Target.Timeout", EC2)
    opened(EC2).known.clear()
    monkeypatch.setattr(provider, "Account", lambda *_: opened(EC2))
    with pytest.raises(SystemExit, match="1"):
        provider.examine_provider(Mock(), Mock(region=REGION, stack="ec2-provider"))
    *rows, sentence = capsys.readouterr().out.splitlines()
    rows = rows[len(DOUBTS) + 1 :]
    assert [row.split("  ")[0].strip() for row in rows] == ["ok"] * 3 + ["broken"] + ["ok"] * 3
    assert shown(sentence) == FAULTS["no healthy target"]["says"]
    parts = Parts()
    monkeypatch.setattr(parts.end, "state", "pendingAcceptance")
    opened(EC2).known.clear()
    with pytest.raises(SystemExit, match="1"):
        provider.examine_provider(Mock(), Mock(region=REGION, stack="ec2-provider"))
    assert shown(capsys.readouterr().out.splitlines()[-1]) == FAULTS["endpoint pending"]["says"]


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
    _, line = settled.settle([*doctor.all_stacks([*map(opened, OWNERS)])])
    assert line.startswith(f"{mark:<7} {name} ")
    assert ("; send back" in line) is (mark == "differs")


def test_what_nobody_has_seen_yet_is_not_settled() -> None:
    opened(GATEWAY).known.clear()
    lines = [*settled.settle([*doctor.all_stacks([opened(GATEWAY)])])][1:]
    assert {name: line[:7].strip() for name, line in zip(DOUBTS, lines, strict=True)} == {
        **dict.fromkeys(DOUBTS, "by hand"),
        **dict.fromkeys(SETTLED, "not yet"),
        "zone-ids": "differs",  # moto gives the names of zones alone
        "health-of-endpoints": "same",
        "instance-type-in-zone": "unseen",
    }


def test_a_wrong_route_is_answered_with_the_routes() -> None:
    with pytest.raises(
        CheckError, match="ROUTE is GET /cats, expected one of the deployed routes, which are GET /dogs, "
    ):
        faults(route="GET /cats")
    with pytest.raises(
        CheckError, match=f"expected the stack global-apigw in {EC2}, which has none; deploy it, or correct AWS_ACCOUNT"
    ):
        faults(EC2)


if __name__ == "__main__":
    print(page(), end="")
