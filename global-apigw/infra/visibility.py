"""Whether the providers' endpoint services can be connected to, seen from the gateway's account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from common.checks import CheckError
from infra.settings import GatewaySettings


def check_region(_: boto3.Session, settings: GatewaySettings) -> None:
    """Each name must be of this region, and no two variables may name the same service."""
    for variable, name in settings.service_names.items():
        region = name.split(".")[3]
        if region != settings.region:
            raise CheckError(
                f"{variable} is {name}, a service in {region}, expected one in {settings.region}; "
                f"deploy its provider to {settings.region}, or the gateway to {region}"
            )
        same = [other for other, value in settings.service_names.items() if value == name]
        if len(same) > 1:
            raise CheckError(f"{' and '.join(same)} are both {name}; expected a service of its own for each")


def check_services(session: boto3.Session, settings: GatewaySettings) -> None:
    """Each service must be visible, which it is to admitted accounts only, and have both our zones."""
    ec2 = session.client("ec2", region_name=settings.region)
    for variable, name in settings.service_names.items():
        try:
            [service] = ec2.describe_vpc_endpoint_services(ServiceNames=[name])["ServiceDetails"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidServiceName":
                raise
            raise CheckError(
                f"{variable} is {name}, which account {settings.account} cannot see: the name is wrong, the service is not "
                f"there, or it does not admit us; compare the name with its provider's output, and let its team deploy "
                f"with API_GATEWAY_ACCOUNT_ARN=arn:aws:iam::{settings.account}:root"
            ) from None
        zones = _zone_ids(ec2, service)
        if missing := [zone for zone in settings.zone_ids if zone not in zones]:
            raise CheckError(
                f"{variable} is {name}, which has no zone {', '.join(missing)}, only {', '.join(sorted(zones))}; "
                "an endpoint needs both zones of the gateway: deploy both with the same AZ_IDS"
            )


def _zone_ids(ec2: Any, service: Mapping[str, Any]) -> set[str]:
    """The service's zones; an answer without ids has the names that this account gives to the zones."""
    if ids := service.get("AvailabilityZoneIds"):
        return set(ids)
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    return {zone["ZoneId"] for zone in zones if zone["ZoneName"] in service["AvailabilityZones"]}
