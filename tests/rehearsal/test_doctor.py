"""`make doctor` names each fault, and no other beside it. The faults are put into the accounts in this process."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from moto.apigatewayv2.models import VpcLink, apigatewayv2_backends
from moto.cloudformation.models import cloudformation_backends
from moto.dynamodb.models import dynamodb_backends
from moto.ec2.models import ec2_backends
from moto.ecr.models import ecr_backends
from moto.elbv2.models import elbv2_backends

from tools.account import Account
from tools.doctor import examine

from . import load_balancers
from .bindings import client
from .environment import EC2, ECS, FOLDER, GATEWAY, REGION, access_key
from .in_process import SECURED, Synth, accounts, deploy

pytestmark = pytest.mark.slow
OWNERS = {ECS: "dogs-team", EC2: "todo-team", GATEWAY: "platform-team"}
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
            cloudformation_backends[account][REGION].get_stack(FOLDER[account]).tags = {"owner": owner}
        elb = client("elbv2", ECS, REGION)
        [group] = elb.describe_target_groups()["TargetGroups"]
        tasks = [{"Id": f"10.0.0.{number}", "Port": 8080} for number in (8, 9)]
        elb.register_targets(TargetGroupArn=group["TargetGroupArn"], Targets=tasks)
        ecr = client("ecr", ECS, REGION)
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
        self.services = ec2_backends[EC2][REGION].configurations
        [self.service] = self.services.values()
        [self.end] = [each for each in ec2.vpc_end_points.values() if each.service_name == self.service.service_name]
        self.interface = ec2.enis[self.end.network_interface_ids[0]]
        gateway, provider = elbv2_backends[GATEWAY][REGION], elbv2_backends[EC2][REGION]
        [self.balancer], [self.provider] = gateway.load_balancers.values(), provider.load_balancers.values()
        [self.listener] = [arn for arn, each in self.balancer.listeners.items() if str(each.port) == "8082"]
        [self.group] = provider.target_groups.values()
        api = apigatewayv2_backends[GATEWAY][REGION]
        [link], [http] = api.vpc_links.values(), api.apis.values()
        self.settings = http.stages["$default"].route_settings
        names = {"link": link.sg_ids, "balancer": self.balancer.security_groups, "ends": self.end.security_group_ids}
        self.groups: dict[str, Any] = {name: ec2.get_security_group_from_id(ids[0]) for name, ids in names.items()}
        self.tables = dynamodb_backends[EC2][REGION].tables
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


def link_is(patch: Patch, **status: str) -> None:
    as_in_moto = VpcLink.to_json
    patch.setattr(VpcLink, "to_json", lambda self: as_in_moto(self) | status)


def gone(patch: Patch, parts: Parts) -> None:
    patch.setattr(parts.end, "state", "rejected")
    patch.delitem(parts.services, parts.service.id)


PLATFORM, TODO, DOGS = (f"{OWNERS[account]} ({account}):" for account in (GATEWAY, EC2, ECS))
DRIFT = "make drift shows what was changed by hand"
LOOK = "look at the console output of the instances (ec2-provider/README.md, Look inside an instance)"
RULE = f"{PLATFORM} add the rule again; {DRIFT}"
AGAIN = f"{PLATFORM} docs/operate.md, Re-create a lost endpoint"
ACCEPT = "aws ec2 accept-vpc-endpoint-connections --service-id vpce-svc-… --vpc-endpoint-ids vpce-…"
# Fault → how it is injected, and the sentence with … for the rest of an id.
FAULTS: dict[str, tuple[Callable[[Patch, Parts], object], str]] = {
    "no healthy target": (
        lambda patch, _: sick(patch, 2, "Target.Timeout", EC2, GATEWAY),
        f"503: no healthy target behind todo in {EC2} (Target.Timeout: i-…, i-…); {TODO} {LOOK}",
    ),
    "one of two": (
        lambda patch, _: sick(patch, 1, "Target.FailedHealthChecks", EC2),
        f"1 of 2 targets behind todo in {EC2} is healthy (Target.FailedHealthChecks: i-…): the next loss is an outage; {TODO} {LOOK}",
    ),
    "wrong health path": (
        lambda patch, parts: patch.setattr(parts.group, "health_check_path", "/health"),
        f"503: the health path of todo in {EC2} is /health, expected /healthz as deployed; {TODO} set it back; {DRIFT}",
    ),
    "only the gateway's targets": (
        lambda patch, _: sick(patch, 2, "Target.Timeout", GATEWAY),
        f"503: no healthy target behind todo (Target.Timeout: 10.0.0.5, 10.0.1.5); {PLATFORM} run make drift: everything behind them is in order",
    ),
    "endpoint pending": (
        lambda patch, parts: patch.setattr(parts.end, "state", "pendingAcceptance"),
        f"503: the endpoint vpce-… of todo waits for acceptance; {TODO} {ACCEPT}",
    ),
    "endpoint rejected": (
        lambda patch, parts: patch.setattr(parts.end, "state", "rejected"),
        f"503: the endpoint vpce-… of todo was rejected; {TODO} {ACCEPT}, or say why not",
    ),
    "endpoint deleted": (
        lambda patch, parts: patch.setattr(parts.end, "state", "deleted"),
        f"503: the endpoint vpce-… of todo is deleted; {AGAIN}",
    ),
    "endpoint service gone": (
        gone,
        f"503: the endpoint service vpce-svc-… of todo is gone; {TODO} deploy it again, and tell the gateway's team its new name",
    ),
    "principal not admitted": (
        lambda patch, parts: patch.setattr(parts.service, "principals", []),
        f"the endpoint service vpce-svc-… of todo does not admit {GATEWAY}; {TODO} deploy it with API_GATEWAY_ACCOUNT_ARN=arn:aws:iam::{GATEWAY}:root",
    ),
    "VPC link inactive": (
        lambda patch, _: link_is(patch, vpcLinkStatus="INACTIVE"),
        f"503: the VPC link LINK is INACTIVE, because 60 days went by without traffic; {PLATFORM} send requests, such as make smoke URL=…; it becomes active within minutes",
    ),
    "VPC link failed": (
        lambda patch, _: link_is(patch, vpcLinkStatus="FAILED", vpcLinkStatusMessage="no free address"),
        f"503: the VPC link LINK is FAILED; {PLATFORM} look at its status message, then replace it: no free address",
    ),
    "stale addresses": (
        lambda patch, parts: patch.setattr(parts.interface, "private_ip_address", "10.0.0.77"),
        f"503: the targets of todo are 10.0.0.5, 10.0.1.5, its endpoint has the addresses 10.0.0.77, 10.0.1.5; {AGAIN}",
    ),
    **{
        f"no {way} rule of the {name}": (
            lambda patch, parts, way=way, name=name: patch.setattr(parts.groups[name], f"{way}_rules", []),
            f"503: the {way} rule of sg-… {'to' if way == 'egress' else 'from'} sg-… for TCP {ports} is missing; {RULE}",
        )
        for name, way, ports in (
            ("link", "egress", "0-65535"),
            ("balancer", "ingress", "0-65535"),
            ("balancer", "egress", "8080"),
            ("ends", "ingress", "8080"),
        )
    },
    "listener missing": (
        lambda patch, parts: patch.delitem(parts.balancer.listeners, parts.listener),
        f"503: the listener of todo on port 8082 is missing; {PLATFORM} add a listener for TCP on this port that forwards to ARN; {DRIFT}",
    ),
    "provider's listener missing": (
        lambda patch, parts: patch.setattr(parts.provider, "listeners", {}),
        f"503: the listener of todo on port 8080 is missing; {TODO} add a listener for TCP on this port that forwards to ARN; {DRIFT}",
    ),
    "throttled": (
        lambda patch, parts: patch.setitem(
            parts.settings, "GET /dogs", {"throttlingRateLimit": 0, "throttlingBurstLimit": 9}
        ),
        f"429: GET /dogs is throttled to 0 requests/s, 9 at once; {PLATFORM} set its throttle in services.toml, then run make deploy-gateway",
    ),
    "image missing": (
        lambda patch, parts: patch.setattr(parts.repository, "images", []),
        f"the image dog-names:local is missing in ECR, so that no task can start; {DOGS} push it, or deploy with another IMAGE_TAG",
    ),
    "table missing": (
        lambda patch, parts: [patch.delitem(parts.tables, name) for name in [*parts.tables]],
        f"503: the table TABLE is missing; {TODO} docs/operate.md, Restore the table to a second, and serve it",
    ),
}


def shown(sentence: str) -> str:
    """Without what differs from run to run."""
    sentence = re.sub(r"\b(vpce-svc|vpce|sg|i)-[0-9a-f]+", r"\1-…", sentence)
    sentence = re.sub("ec2-provider-DatabaseTable[\\w-]+", "TABLE", sentence)
    return re.sub(
        r"arn:aws:elasticloadbalancing:\S+?(?=;)", "ARN", re.sub("VPC link [a-z]{8}", "VPC link LINK", sentence)
    )


def test_nothing_is_broken() -> None:
    assert faults() == faults(GATEWAY) == []


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_is_named_and_no_other(name: str, monkeypatch: Patch) -> None:
    inject, says = FAULTS[name]
    inject(monkeypatch, Parts())
    found = [shown(each) for each in faults()]
    print(f"{name} | {found}")
    assert found == [says]
