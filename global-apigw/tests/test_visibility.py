"""What stops the gateway's deploy when a service cannot be connected to."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from common.checks import CheckError
from infra.checks import check_region, check_services
from infra.settings import GatewaySettings
from tests.conftest import DOGS, ENVIRON, TODO

# The gateway's account calls its zones differently from any other.
ZONES = {"us-west-2c": "usw2-az1", "us-west-2a": "usw2-az2", "us-west-2b": "usw2-az3"}


class Ec2:
    """EC2 as the gateway's account sees it: `services` maps a visible endpoint service to what tells its zones."""

    def __init__(self, services: dict[str, dict[str, list[str]]]) -> None:
        self.services = services

    def client(self, *_: object, **__: object) -> "Ec2":
        return self

    def describe_vpc_endpoint_services(self, ServiceNames: list[str]) -> dict[str, Any]:
        [name] = ServiceNames
        if name not in self.services:
            text = f"The Vpc Endpoint Service '{name}' does not exist"
            raise ClientError({"Error": {"Code": "InvalidServiceName", "Message": text}}, "Describe")
        return {"ServiceDetails": [{"ServiceName": name, **self.services[name]}]}

    def describe_availability_zones(self) -> dict[str, Any]:
        return {"AvailabilityZones": [{"ZoneName": name, "ZoneId": id} for name, id in ZONES.items()]}


def by_id(*zones: str) -> dict[str, list[str]]:
    return {"AvailabilityZoneIds": list(zones)}


def by_name(*zones: str) -> dict[str, list[str]]:
    return {"AvailabilityZones": list(zones)}


BOTH = by_id("usw2-az1", "usw2-az2")


def check(services: dict[str, dict[str, list[str]]], **environ: str) -> None:
    settings = GatewaySettings.read({**ENVIRON, **environ})
    check_region(Ec2(services), settings)  # type: ignore[arg-type]
    check_services(Ec2(services), settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("zones", [BOTH, by_name("us-west-2c", "us-west-2a")], ids=["by id", "by name"])
def test_visible_services_in_both_zones_pass(zones: dict[str, list[str]]) -> None:
    check({DOGS: BOTH, TODO: zones})


def test_fails_when_a_service_is_in_another_region() -> None:
    elsewhere = TODO.replace("us-west-2", "us-east-1")
    with pytest.raises(CheckError, match=r"TODO_SERVICE_NAME is .*, a service in us-east-1, expected one in us-west-2"):
        check({}, TODO_SERVICE_NAME=elsewhere)


def test_fails_when_two_variables_name_the_same_service() -> None:
    with pytest.raises(CheckError, match="DOGNAME_SERVICE_NAME and TODO_SERVICE_NAME are both"):
        check({}, TODO_SERVICE_NAME=DOGS)


def test_fails_when_a_service_is_not_visible_and_says_which_principal_to_admit() -> None:
    with pytest.raises(CheckError) as error:
        check({DOGS: BOTH})
    assert f"TODO_SERVICE_NAME is {TODO}, which account 111111111111 cannot see" in str(error.value)
    assert "deploy with API_GATEWAY_ACCOUNT_ARN=arn:aws:iam::111111111111:root" in str(error.value)


@pytest.mark.parametrize(
    "zones", [by_id("usw2-az1", "usw2-az3"), by_name("us-west-2c", "us-west-2b")], ids=["by id", "by name"]
)
def test_fails_when_a_service_lacks_a_zone(zones: dict[str, list[str]]) -> None:
    with pytest.raises(CheckError, match=r"which has no zone usw2-az2, only usw2-az1, usw2-az3; .* the same AZ_IDS"):
        check({DOGS: zones})
