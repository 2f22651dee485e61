"""Checks before CloudFormation starts. A check raises CheckError with the actual value, the expected one and the next step."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from common.account import UnseenError
from common.settings import Settings, SettingsError


class CheckError(Exception):
    """Why nothing was changed."""

    def __str__(self) -> str:
        return f"error: {super().__str__()}"


# A folder's own settings are of its own class.
Check = Callable[[boto3.Session, Any], None]


def main(
    arguments: Sequence[str], environ: Mapping[str, str], own: type[Settings], checks: Mapping[str, Sequence[Check]]
) -> None:
    """Run the `checks` of a verb; `arguments` are VERB APPROVAL [VARIABLE…], the variables that are not known yet.

    To bootstrap, to delete or to look at what is deployed, the account and the region are enough; other verbs need the folder's
    `own` settings.
    """
    verb, approval, *unknown = arguments
    needs_account_only = verb in ("bootstrap", "destroy", "delete", "drift", "doctor", "follow", "connections")
    try:
        settings = Settings.read(environ, stack=own.stack) if needs_account_only else own.read(environ, *unknown)
        check_terminal(verb, approval)
        # The CDK CLI builds before each synth and checks the credentials itself.
        session = boto3.Session() if verb == "build" else open_session(settings)
        for check in checks.get(verb, ()):
            check(session, settings)
    except UnseenError as problem:
        print(f"error: {problem}; the doctor reads, and needs the rights to read", file=sys.stderr)
        sys.exit(2)
    except (SettingsError, CheckError) as problems:
        print(problems, file=sys.stderr)
        sys.exit(2)
    except (BotoCoreError, ClientError) as error:
        print(f"error: AWS refused a call of `preflight.py {verb}`: {error}", file=sys.stderr)
        sys.exit(2)


def check_terminal(verb: str, approval: str) -> None:
    """The CDK CLI asks before it broadens permissions or destroys; without a terminal nobody can answer."""
    if approval not in ("never", "broadening", "any-change"):
        raise CheckError(f"APPROVAL is {approval!r}, expected broadening, any-change or never")
    if verb in ("deploy", "destroy") and approval != "never" and not sys.stdin.isatty():
        raise CheckError(
            f"there is no terminal to ask for approval; to {verb} without being asked: make {verb} APPROVAL=never"
        )


def open_session(settings: Settings) -> boto3.Session:
    """Of the exported keys or the profile, which must be the expected account's."""
    try:
        session = boto3.Session()
        identity = session.client("sts", region_name=settings.region).get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise CheckError(
            f"no usable AWS credentials for account {settings.account}: {error}; "
            "export its AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or set PROFILE=<profile>"
        ) from None
    if identity["Account"] != settings.account:
        profile = f" of profile {session.profile_name}" if session.profile_name != "default" else ""
        raise CheckError(
            f"the credentials{profile} are those of account {identity['Account']} ({identity['Arn']}), "
            f"expected account {settings.account} (AWS_ACCOUNT); export the right ones or correct AWS_ACCOUNT"
        )
    return session


def check_zones(session: boto3.Session, settings: Settings) -> None:
    """The account must have the zones, and a deploy must keep the zones of the first one."""
    ec2 = session.client("ec2", region_name=settings.region)
    existing = {zone["ZoneId"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]}
    if missing := [zone for zone in settings.zone_ids if zone not in existing]:
        raise CheckError(
            f"zone {', '.join(missing)} is not in {settings.region} of account {settings.account}, "
            f"which has {', '.join(sorted(existing))}; choose two that all accounts have: AZ_IDS=<id>,<id>"
        )
    subnets = stack_resources(session, settings, "AWS::EC2::Subnet")
    described = ec2.describe_subnets(SubnetIds=subnets)["Subnets"] if subnets else []
    deployed = {subnet["AvailabilityZoneId"] for subnet in described}
    if deployed and deployed != {*settings.zone_ids}:
        zones = ",".join(sorted(deployed))
        raise CheckError(
            f"{settings.stack} was first deployed to {zones}, now {','.join(settings.zone_ids)} is asked for: the new "
            f"subnets would claim the addresses of the old ones and the deploy would fail; keep AZ_IDS={zones}"
        )


def check_bootstrap(session: boto3.Session, settings: Settings) -> None:
    """The CDK CLI deploys with the roles and the bucket of its bootstrap, whose version is in this parameter."""
    ssm = session.client("ssm", region_name=settings.region)
    try:
        ssm.get_parameter(Name="/cdk-bootstrap/hnb659fds/version")
    except ssm.exceptions.ParameterNotFound:
        raise CheckError(
            f"account {settings.account} is not bootstrapped in {settings.region}, so the CDK CLI cannot deploy to it; "
            f"once, with administrator rights: make -C {settings.stack} bootstrap"
        ) from None
    except ClientError as error:
        print_unknown("the version of the bootstrap stack", error)


def check_certificate(session: boto3.Session, settings: Settings, arn: str, where: str, bits: int) -> Any:
    """The certificate, which ACM must have issued in the stack's account and region: neither API Gateway nor an NLB takes another one.

    A key of more `bits` is not taken, either.
    """
    region, account = arn.split(":")[3:5]
    if (region, account) != (settings.region, settings.account):
        raise CheckError(
            f"{where} is one of account {account} in {region}, expected one of account {settings.account} in "
            f"{settings.region}, where {settings.stack} is; request one there"
        )
    try:
        found = session.client("acm", region_name=region).describe_certificate(CertificateArn=arn)["Certificate"]
    except ClientError as error:
        raise CheckError(f"{where} cannot be read: {error}; correct it") from None
    if found["Status"] != "ISSUED":
        raise CheckError(f"{where} is {found['Status']}, expected ISSUED; renew it in ACM, or finish its validation")
    algorithm = found["KeyAlgorithm"]  # RSA_2048 or RSA-2048, EC_prime256v1
    if max(map(int, re.findall(r"\d+", algorithm)), default=0) > bits:
        raise CheckError(f"{where} has a key of {algorithm}, expected at most {bits:,} bits; request another in ACM")
    return found


def is_covered(name: str, names: Set[str]) -> bool:
    """Whether a certificate of the `names` is one of `name`. A wildcard stands for one label."""
    return not names.isdisjoint({name, f"*.{name.partition('.')[2]}"})


def check_listener_certificate(session: boto3.Session, settings: Any) -> None:
    """Of a provider's TLS listener: docs.aws.amazon.com/elasticloadbalancing/latest/network/tls-listener-certificates.html"""
    if not settings.certificate_arn:
        return
    found = check_certificate(session, settings, settings.certificate_arn, "CERTIFICATE_ARN", 3072)
    if found["Type"] == "PRIVATE":  # *assumed* for HTTP APIs
        print("CERTIFICATE_ARN is of a private authority, which API Gateway does not trust: requests would get a 500")


def state_of(text: str) -> str:
    """The state of an endpoint as EC2 documents it; its SDKs have a capital letter (*assumed*: AWS may answer either)."""
    return text[:1].lower() + text[1:]


def print_unknown(subject: str, error: Exception) -> None:
    """A deploy may go on without the right to read the subject of a check."""
    print(f"not checked: {subject}, which could not be read: {error}")


def stack_resources(session: boto3.Session, settings: Settings, type: str) -> list[str]:
    """The physical ids of the deployed stack's resources of `type`; none before the first deploy.

    A stack whose first creation failed still lists the resources that its rollback deleted.
    """
    cloudformation = session.client("cloudformation", region_name=settings.region)
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=settings.stack)
    wanted = f"ResourceType == '{type}' && ResourceStatus != 'DELETE_COMPLETE' && PhysicalResourceId"
    try:
        return list(pages.search(f"StackResourceSummaries[?{wanted}].PhysicalResourceId"))
    except ClientError as error:
        if "does not exist" in str(error):
            return []
        raise
