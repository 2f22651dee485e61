"""Faults of the way to todo, and of dog-names' image, which a test puts into the accounts; doctor.toml has the list."""

import re
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.acm.models import acm_backends
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
from .in_process import SECURED, Synth, accounts, deploy, issue

sys.path.append(str(ROOT / "global-apigw"))  # last: the folder has tests of its own

from common.account import Account

FAULTS = tomllib.loads(Path(__file__).with_name("doctor.toml").read_text())
MANIFEST = '{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}'
OWNERS = {GATEWAY: "platform-team", ECS: "dogs-team", EC2: "todo-team"}
SERVER = "internal.example.com"
OVER_TLS = {"endpoint_port": 8443, "tls": {"server_name": SERVER}}
REGISTRY = {**SECURED, "services": {name: each | OVER_TLS for name, each in SECURED["services"].items()}}
Patch = pytest.MonkeyPatch
health_in_moto = load_balancers.health


@cache
def opened(account: str) -> Account:
    keys = {"aws_access_key_id": access_key(account), "aws_secret_access_key": "unchecked"}
    return Account(boto3.Session(**keys), REGION)  # type: ignore[arg-type] # keys are strings


def health(balancers: Any, target: Any) -> tuple[str, str | None]:
    return ("healthy", None) if balancers.account_id == ECS else health_in_moto(balancers, target)


@contextmanager
def deployed(synth: dict[str, Synth]) -> Iterator[None]:
    """All three, with TLS between them; two tasks of dog-names run, which moto does not start, and their image is there."""
    with accounts(), pytest.MonkeyPatch.context() as patch:
        names = {}
        for account, variable in ((ECS, "DOGNAME_SERVICE_NAME"), (EC2, "TODO_SERVICE_NAME")):
            deploy(account, synth[FOLDER[account]](None, CERTIFICATE_ARN=issue(account, SERVER)))
            ec2 = client("ec2", account, REGION)
            [service] = ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
            names[variable] = service["ServiceName"]
        deploy(GATEWAY, synth[FOLDER[GATEWAY]](REGISTRY, **names))
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
        [self.certificate] = acm_backends[ECS][REGION]._certificates.values()
        self.repository = ecr_backends[ECS][REGION].repositories["dog-names"]


def sick(patch: Patch, count: int, reason: str, *accounts: str) -> None:
    """So many targets of todo are unhealthy; the addresses of its endpoint end in .4."""
    seen: dict[str, list[str]] = {}

    def judge(balancers: Any, target: Any) -> tuple[str, str | None]:
        if balancers.account_id not in accounts or not re.search(r"^i-|\.4$", target[1]):
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
    sentence = re.sub("certificate/[0-9a-f-]+", "certificate/…", sentence)
    sentence = re.sub("ec2-provider-DatabaseTable[\\w-]+", "TABLE", sentence)
    sentence = re.sub(r"\b(ec2|ecs)-provider-([A-Z][A-Za-z]+)[0-9A-F]{8}-\w+", r"\2-…", sentence)
    return re.sub(r"arn:aws:elasticloadbalancing:[^ ;]+", "ARN", re.sub("VPC link [a-z]{8}", "VPC link LINK", sentence))


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


def page() -> str:
    """docs/doctor.md: python -m tests.rehearsal.faults > docs/doctor.md"""
    rows = "".join(f"| {name} | {fault['says']} |\n" for name, fault in FAULTS.items())
    return f"""# What the doctor says

Each fault was put into three emulated accounts, and [`make doctor`](operate.md#from-alarm-to-cause) then said this sentence and no other.
… stands for the rest of an id. `tests/rehearsal/doctor.toml` has the faults, and a test holds this page.

| fault | sentence |
|---|---|
{rows}"""


if __name__ == "__main__":
    print(page(), end="")
