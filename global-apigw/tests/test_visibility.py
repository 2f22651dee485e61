"""The checks of the endpoint services before a deploy."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from common.checks import CheckError
from infra.checks import check_region, check_services
from tests.conftest import SETTINGS

DOGS, TODO = (f"com.amazonaws.vpce.us-west-2.vpce-svc-{number}" for number in ("0d09", "070d"))
# The names that the gateway's account gives to its zones; every account has other names.
ZONES = {"us-west-2c": "usw2-az1", "us-west-2a": "usw2-az2", "us-west-2b": "usw2-az3"}
BOTH = {"AvailabilityZoneIds": ["usw2-az1", "usw2-az2"]}
ONE_ZONE = "which has no zone usw2-az2, only usw2-az1, usw2-az3; .* the same AZ_IDS"
ADMIT = "deploy with API_GATEWAY_ACCOUNT_ARN=arn:aws:iam::111111111111:root"
Services = dict[str, dict[str, list[str]]]


class Ec2:
    """EC2 as the gateway's account sees it: `services` maps each visible endpoint service to its zones."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def client(self, *_: object, **__: object) -> "Ec2":
        return self

    def describe_vpc_endpoint_services(self, ServiceNames: list[str]) -> dict[str, Any]:
        [name] = ServiceNames
        if name not in self.services:
            raise ClientError({"Error": {"Code": "InvalidServiceName"}}, "DescribeVpcEndpointServices")
        return {"ServiceDetails": [{"ServiceName": name, **self.services[name]}]}

    def describe_availability_zones(self) -> dict[str, Any]:
        return {"AvailabilityZones": [{"ZoneName": name, "ZoneId": id} for name, id in ZONES.items()]}


def check(services: Services, todo: str = TODO) -> None:
    """With two services behind the API; `todo` is the name of the second."""
    names = {"DOGNAME_SERVICE_NAME": DOGS, "TODO_SERVICE_NAME": todo}
    settings = replace(SETTINGS, service_names=names)
    check_region(Ec2(services), settings)  # type: ignore[arg-type]
    check_services(Ec2(services), settings)  # type: ignore[arg-type]


def test_visible_services_in_both_zones_pass() -> None:
    # EC2 gives the ids of a service's zones, or only their names.
    check({DOGS: BOTH, TODO: {"AvailabilityZones": ["us-west-2c", "us-west-2a"]}})


@pytest.mark.parametrize(
    ("services", "todo", "message"),
    [
        (
            {},
            TODO.replace("west", "east"),
            r"TODO_SERVICE_NAME is .*, a service in us-east-2, expected one in us-west-2",
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
