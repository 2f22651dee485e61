"""The checks of the endpoint services before a deploy."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from common.checks import CheckError
from common.settings import SettingsError
from infra import checks
from infra.checks import check_accepted, check_region, check_services
from infra.settings import GatewaySettings
from tests.conftest import FOLDER, SETTINGS

DOGS, TODO = (f"com.amazonaws.vpce.us-west-2.vpce-svc-{number}" for number in ("0d09", "070d"))
# The names that the gateway's account gives to its zones; every account has other names.
ZONES = {"us-west-2c": "usw2-az1", "us-west-2a": "usw2-az2", "us-west-2b": "usw2-az3"}
BOTH = {"AvailabilityZoneIds": ["usw2-az1", "usw2-az2"]}
ONE_ZONE = "which has no zone usw2-az2, only usw2-az1, usw2-az3; .* the same AZ_IDS"
FAR = "com.amazonaws.vpce.eu-west-1.vpce-svc-0fa4"
ADMIT = "deploy with API_GATEWAY_ACCOUNT_ARN=arn:aws:iam::111111111111:root"
MANUAL = BOTH | {"AcceptanceRequired": True, "Owner": "333333333333"}
Services = dict[str, dict[str, Any]]


@pytest.fixture(autouse=True)
def deployed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """The endpoints of the stack: none, unless a test adds some."""
    found: list[tuple[str, str, str]] = []
    monkeypatch.setattr(checks, "_endpoints", lambda *_: found)
    return found


class Ec2:
    """EC2 as the gateway's account sees it: `services` maps each visible endpoint service to its zones."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def client(self, *_: object, **__: object) -> "Ec2":
        return self

    def describe_vpc_endpoint_services(
        self, ServiceNames: list[str], ServiceRegions: Sequence[str] = ("us-west-2",)
    ) -> dict[str, Any]:
        [name] = ServiceNames
        if name not in self.services or name.split(".")[3] not in ServiceRegions:
            raise ClientError({"Error": {"Code": "InvalidServiceName"}}, "DescribeVpcEndpointServices")
        return {"ServiceDetails": [{"ServiceName": name, **self.services[name]}]}

    def describe_availability_zones(self) -> dict[str, Any]:
        return {"AvailabilityZones": [{"ZoneName": name, "ZoneId": id} for name, id in ZONES.items()]}


def with_services(todo: str = TODO, region: str = "") -> GatewaySettings:
    """Two services are behind the API; `todo` is the name of the second, `region` that of its entry."""
    names = {"DOGNAME_SERVICE_NAME": DOGS, "TODO_SERVICE_NAME": todo}
    entries = SETTINGS.registry.services
    entries = {**entries, "todo": entries["todo"].model_copy(update={"region": region})}
    registry = SETTINGS.registry.model_copy(update={"services": entries})
    return replace(SETTINGS, service_names=names, registry=registry)


def check(services: Services, todo: str = TODO, region: str = "") -> None:
    settings = with_services(todo, region)
    check_region(Ec2(services), settings)  # type: ignore[arg-type]
    check_services(Ec2(services), settings)  # type: ignore[arg-type]


def test_visible_services_in_both_zones_pass() -> None:
    # EC2 gives the ids of a service's zones, or only their names.
    check({DOGS: BOTH, TODO: {"AvailabilityZones": ["us-west-2c", "us-west-2a"]}})


def test_a_service_in_the_region_of_its_entry_passes_whatever_its_zones() -> None:
    check({DOGS: BOTH, FAR: {"AvailabilityZoneIds": ["euw1-az3"]}}, FAR, "eu-west-1")


def test_fails_when_a_service_is_not_offered_to_this_region() -> None:
    with pytest.raises(
        CheckError, match=f"TODO_SERVICE_NAME is {FAR}, .* cannot see.*{ADMIT} and SUPPORTED_REGIONS=us-west-2$"
    ):
        check({DOGS: BOTH}, FAR, "eu-west-1")
    with pytest.raises(
        CheckError, match=f"TODO_SERVICE_NAME is {TODO}, a service in us-west-2, expected one in eu-west-1"
    ):
        check({DOGS: BOTH, TODO: BOTH}, TODO, "eu-west-1")


@pytest.mark.parametrize(
    ("services", "todo", "message"),
    [
        (
            {},
            TODO.replace("west", "east"),
            r'TODO_SERVICE_NAME is .*, a service in us-east-2, expected one in us-west-2; .* region = "us-east-2"$',
        ),
        ({}, DOGS, "DOGNAME_SERVICE_NAME and TODO_SERVICE_NAME are both"),
        ({DOGS: BOTH}, TODO, f"TODO_SERVICE_NAME is {TODO}, which account 111111111111 cannot see.*{ADMIT}"),
        ({DOGS: {"AvailabilityZoneIds": ["usw2-az1", "usw2-az3"]}}, TODO, ONE_ZONE),
        ({DOGS: {"AvailabilityZones": ["us-west-2c", "us-west-2b"]}}, TODO, ONE_ZONE),
    ],
)
def test_fails_when_an_endpoint_could_not_be_made(services: Services, todo: str, message: str) -> None:
    with pytest.raises(CheckError, match=message):
        check(services, todo)


def test_who_must_accept_is_said_until_somebody_has(
    deployed: list[tuple[str, str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.append(("DOGNAME_SERVICE_NAME", "vpce-1", "available"))
    check({DOGS: MANUAL, TODO: MANUAL})
    assert capsys.readouterr().out == (
        "TODO_SERVICE_NAME: account 333333333333, which owns the service, must accept the new endpoint, during or after this "
        "deploy: its team runs make connections in its folder\n"
    )


@pytest.mark.parametrize(
    ("region", "todo", "state"),
    [("", TODO, "pendingAcceptance"), ("", TODO, "rejected"), ("eu-west-1", FAR, "rejected")],
)
def test_fails_when_a_deployed_endpoint_is_not_accepted(
    deployed: list[tuple[str, str, str]], region: str, todo: str, state: str
) -> None:
    deployed += [("DOGNAME_SERVICE_NAME", "vpce-1", "available"), ("TODO_SERVICE_NAME", "vpce-2", state)]
    with pytest.raises(SystemExit) as ended:
        check_accepted(Ec2({todo: MANUAL}), with_services(todo, region))  # type: ignore[arg-type]
    assert ended.value.code == (
        f"error: deployed, but the endpoint vpce-2 of TODO_SERVICE_NAME is {state}: the team of account 333333333333 must run "
        "make connections ACCEPT=vpce-2 in its folder; then run make doctor here, and no second deploy"
    )


def test_fails_when_a_zone_of_the_gateway_takes_no_part_in_other_regions() -> None:
    names = {"DOGNAME_SERVICE_NAME": FAR, "TODO_SERVICE_NAME": DOGS}
    here = {"AWS_ACCOUNT": "111111111111", "AWS_REGION": "ap-northeast-2", **names}
    GatewaySettings.read(here)
    with pytest.raises(SettingsError, match="connects no other region to zone apne2-az2; choose two others"):
        GatewaySettings.read({**here, "SERVICES": str(FOLDER / "examples/everything.toml")})
