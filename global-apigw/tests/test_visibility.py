"""What stops the gateway's deploy when a service cannot be connected to."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.guards import GuardError
from infra.settings import Settings
from infra.variables import read_settings
from infra.visibility import check_region, check_services
from tests.conftest import DOGS, ENVIRON, TODO


def settings(**environ: str) -> Settings:
    return read_settings({**ENVIRON, **environ})


class Ec2:
    """EC2 as the gateway's account sees it: `services` maps a visible endpoint service to its zones."""

    def __init__(self, services: dict[str, list[str]]) -> None:
        self.services = services

    def client(self, *_: object, **__: object) -> "Ec2":
        return self

    def describe_vpc_endpoint_services(self, ServiceNames: list[str]) -> dict[str, Any]:
        [name] = ServiceNames
        if name not in self.services:
            text = f"The Vpc Endpoint Service '{name}' does not exist"
            raise ClientError({"Error": {"Code": "InvalidServiceName", "Message": text}}, "Describe")
        return {"ServiceDetails": [{"ServiceName": name, "AvailabilityZoneIds": self.services[name]}]}


def check(services: dict[str, list[str]], **environ: str) -> None:
    check_services(Ec2(services), settings(**environ), "global-apigw")  # type: ignore[arg-type]


def test_visible_services_in_both_zones_pass() -> None:
    check_region(None, settings(), "global-apigw")  # type: ignore[arg-type]
    check({DOGS: ["usw2-az1", "usw2-az2"], TODO: ["usw2-az3", "usw2-az2", "usw2-az1"]})


def test_fails_when_a_service_is_in_another_region() -> None:
    elsewhere = TODO.replace("us-west-2", "us-east-1")
    with pytest.raises(
        GuardError, match=r"TODO_SERVICE_NAME is .*, a service in us-east-1, expected one in us-west-2"
    ):
        check_region(None, settings(TODO_SERVICE_NAME=elsewhere), "global-apigw")  # type: ignore[arg-type]


def test_fails_when_two_variables_name_the_same_service() -> None:
    with pytest.raises(GuardError, match="DOGNAME_SERVICE_NAME and TODO_SERVICE_NAME are both"):
        check_region(None, settings(TODO_SERVICE_NAME=DOGS), "global-apigw")  # type: ignore[arg-type]


def test_fails_when_a_service_is_not_visible_and_says_which_principal_to_admit() -> None:
    with pytest.raises(GuardError) as error:
        check({DOGS: ["usw2-az1", "usw2-az2"]})
    assert f"TODO_SERVICE_NAME is {TODO}, which account 111111111111 cannot see" in str(error.value)
    assert "deploy with API_GATEWAY_ACCOUNT_ARN=arn:aws:iam::111111111111:root" in str(error.value)


def test_fails_when_a_service_lacks_a_zone() -> None:
    with pytest.raises(
        GuardError, match=r"which has no zone usw2-az2, only usw2-az1, usw2-az3; .* the same AZ_IDS"
    ):
        check({DOGS: ["usw2-az1", "usw2-az3"]})
