"""The gateway's own checks before a deploy: endpoint services, JWT issuer, domain; and after it: accepted endpoints."""

import json
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
from botocore.exceptions import ClientError
from botocore.httpsession import get_cert_path
from botocore.session import Session

from common.checks import CheckError, check_certificate, is_covered, stack_resources, state_of
from infra.registry import Domain
from infra.settings import GatewaySettings

ISSUER_TIMEOUT_SECONDS = 5
MAX_ISSUER_BYTES = 1_000_000


def check_region(_: boto3.Session, settings: GatewaySettings) -> None:
    """Each name must be of the region of its entry, and no two variables may name the same service."""
    for variable, name in settings.service_names.items():
        if (region := name.split(".")[3]) != (expected := settings.regions[variable]):
            raise CheckError(
                f"{variable} is {name}, a service in {region}, expected one in {expected}; "
                f'deploy its provider to {expected}, or give its entry in the registry region = "{region}"'
            )
        same = [other for other, value in settings.service_names.items() if value == name]
        if len(same) > 1:
            raise CheckError(f"{' and '.join(same)} are both {name}; expected a service of its own for each")


def check_services(session: boto3.Session, settings: GatewaySettings) -> None:
    """This account must see each service, which only admitted accounts do, and a service here must have both our zones."""
    ec2 = session.client("ec2", region_name=settings.region)
    accepted = [variable for variable, _, state in _endpoints(session, settings) if state == "available"]
    for variable, name in settings.service_names.items():
        is_far = settings.regions[variable] != settings.region
        offer = f" and SUPPORTED_REGIONS={settings.region}" if is_far else ""
        try:
            service = _describe(ec2, settings, variable)
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidServiceName":
                raise
            raise CheckError(
                f"{variable} is {name}, which account {settings.account} cannot see: the name is wrong, the service does "
                "not exist, or it does not admit us; compare the name with its provider's output, and let its team deploy "
                f"with API_GATEWAY_ACCOUNT_ARN=arn:aws:iam::{settings.account}:root{offer}"
            ) from None
        if service.get("AcceptanceRequired") and variable not in accepted:
            told = (
                f"{variable}: account {service['Owner']}, which owns the service, must accept the new endpoint, during"
            )
            print(f"{told} or after this deploy: its team runs make connections in its folder")
        if is_far:
            continue  # the zones need not match
        zones = _zone_ids(ec2, service)
        if missing := [zone for zone in settings.zone_ids if zone not in zones]:
            raise CheckError(
                f"{variable} is {name}, which has no zone {', '.join(missing)}, only {', '.join(sorted(zones))}; "
                "an endpoint needs both zones of the gateway: deploy both with the same AZ_IDS"
            )


def check_accepted(session: boto3.Session, settings: GatewaySettings) -> None:
    """After a deploy: requests get a 503 until the owners of the services have accepted our endpoints. Exits with 1."""
    ec2 = session.client("ec2", region_name=settings.region)
    waiting = [
        f"error: deployed, but the endpoint {id} of {variable} is {state}: the team of account "
        f"{_describe(ec2, settings, variable)['Owner']} must run make connections ACCEPT={id} in its folder; then run make "
        "doctor here, and no second deploy"
        for variable, id, state in _endpoints(session, settings)
        if state in ("pendingAcceptance", "rejected")
    ]
    if waiting:
        sys.exit("\n".join(waiting))


def _describe(ec2: Any, settings: GatewaySettings, variable: str) -> Any:
    """The endpoint service as this account sees it."""
    region = settings.regions[variable]
    where = {} if region == settings.region else {"ServiceRegions": [region]}
    return ec2.describe_vpc_endpoint_services(ServiceNames=[settings.service_names[variable]], **where)[
        "ServiceDetails"
    ][0]


def _endpoints(session: boto3.Session, settings: GatewaySettings) -> Iterator[tuple[str, str, str]]:
    """Of each endpoint of the stack: the variable with the name of its service, its id, its state."""
    own = stack_resources(session, settings, "AWS::EC2::VPCEndpoint")
    variables = {name: variable for variable, name in settings.service_names.items()}
    pages = session.client("ec2", region_name=settings.region).get_paginator("describe_vpc_endpoints").paginate()
    for each in pages.search("VpcEndpoints[]"):
        if each["VpcEndpointId"] in own and each["ServiceName"] in variables:
            yield variables[each["ServiceName"]], each["VpcEndpointId"], state_of(each["State"])


def _zone_ids(ec2: Any, service: Mapping[str, Any]) -> set[str]:
    """The service's zones. A response without ids has names instead: those that this account gives to the zones."""
    if ids := service.get("AvailabilityZoneIds"):
        return set(ids)
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    return {zone["ZoneId"] for zone in zones if zone["ZoneName"] in service["AvailabilityZones"]}


def check_issuer(_: boto3.Session, settings: GatewaySettings) -> None:
    """API Gateway creates no authorizer whose discovery document it cannot read, or which names another issuer."""
    if not (jwt := settings.registry.api.jwt):
        return
    url = f"{jwt.issuer.rstrip('/')}/.well-known/openid-configuration"
    advice = "correct issuer in [api.jwt] of the registry"
    try:
        document = read_document(url)
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        raise CheckError(f"the JWT issuer {jwt.issuer} cannot be read at {url}: {error}; {advice}") from None
    issuer = document.get("issuer") if isinstance(document, dict) else document
    if issuer != jwt.issuer or "jwks_uri" not in document:
        raise CheckError(
            f"{url} names the issuer {issuer!r}, expected {jwt.issuer!r} and a jwks_uri; {advice}, the slash at its end counts"
        )


def read_document(url: str) -> Any:
    """The JSON at `url`. The AWS SDK must trust its certificate: by AWS_CA_BUNDLE, or by the SDK's own bundle."""
    tls = ssl.create_default_context(cafile=get_cert_path(Session().get_config_variable("ca_bundle") or True))
    # Some hosts refuse the user agent of Python's client.
    request = Request(url, headers={"User-Agent": "global-apigw"})  # noqa: S310 - the registry admits only https
    try:
        with urlopen(request, timeout=ISSUER_TIMEOUT_SECONDS, context=tls) as response:  # noqa: S310 - the same
            body = response.read(MAX_ISSUER_BYTES + 1)
    except HTTPError as error:
        error.close()  # it holds the connection
        raise
    if len(body) > MAX_ISSUER_BYTES:
        raise ValueError(f"more than {MAX_ISSUER_BYTES:,} bytes")
    return json.loads(body)


def check_domain(session: boto3.Session, settings: GatewaySettings) -> None:
    """CloudFormation would find a wrong certificate or hosted zone only in the middle of the deploy."""
    try:
        problems = [*_domain_problems(session, settings)]
    except ClientError as error:
        problems = [f"cannot be checked: {error}; correct hosted_zone, or get the right that is missing"]
    if problems:
        raise CheckError(f"[api.domain] of the registry: {'; '.join(problems)}")


def _domain_problems(session: boto3.Session, settings: GatewaySettings) -> Iterator[str]:
    if not (domain := settings.registry.api.domain):
        return
    # The page how-to-specify-certificate-for-custom-domain-name.html of the developer guide.
    where = "[api.domain] of the registry: certificate"
    found = check_certificate(session, settings, domain.certificate, where, 2048)
    names = {found["DomainName"], *found.get("SubjectAlternativeNames", ())}
    if not is_covered(domain.name, names):
        yield f"certificate is one of {', '.join(sorted(names))}, expected one of {domain.name}"
    # It would need an OwnershipVerificationCertificateArn: the page http-api-mutual-tls.html of the developer guide.
    if domain.truststore and found["Type"] != "AMAZON_ISSUED":
        yield f"certificate is {found['Type']}, expected AMAZON_ISSUED, as truststore needs it; request one in ACM"
    # repost.aws/knowledge-center/api-gateway-mtls-certificate-subject
    if domain.truststore and any(name.startswith("*.") for name in names):
        print(f"{where} has a wildcard: with truststore, AWS advises one of {domain.name} without wildcards")
    api = session.client("apigatewayv2", region_name=settings.region)
    if domain.name not in stack_resources(session, settings, "AWS::ApiGatewayV2::DomainName"):
        with suppress(api.exceptions.NotFoundException):
            api.get_domain_name(DomainName=domain.name)
            yield f"name is {domain.name}, a domain name that API Gateway has already; delete that, or take another name"
    if domain.hosted_zone:
        yield from _zone_problems(session, settings, domain)


def _zone_problems(session: boto3.Session, settings: GatewaySettings, domain: Domain) -> Iterator[str]:
    """CloudFormation makes the records of the domain in a public zone of its parent, and overwrites none."""
    route53 = session.client("route53", region_name=settings.region)
    zone = route53.get_hosted_zone(Id=domain.hosted_zone)["HostedZone"]
    if zone["Config"]["PrivateZone"] or not f".{domain.name}.".endswith(f".{zone['Name']}"):
        kind = "private" if zone["Config"]["PrivateZone"] else "public"
        yield f"hosted_zone is the {kind} zone {zone['Name']}, expected a public one that {domain.name} is in"
    elif domain.name not in stack_resources(session, settings, "AWS::Route53::RecordSet"):
        # In the order of their names.
        records = route53.list_resource_record_sets(HostedZoneId=domain.hosted_zone, StartRecordName=domain.name)
        found = {each["Type"] for each in records["ResourceRecordSets"] if each["Name"] == f"{domain.name}."}
        if taken := found & {"A", "AAAA", "CNAME"}:
            yield (f"hosted_zone {zone['Name']} has a record of {domain.name} already: {', '.join(sorted(taken))}; delete it "
                   "right before the deploy, which makes the new ones; between the two clients do not find the API")  # fmt: skip
