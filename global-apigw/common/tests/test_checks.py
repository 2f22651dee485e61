"""What stops a deploy before CloudFormation starts, against moto."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import MagicMock

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from common import checks
from common.checks import CheckError
from common.settings import Settings, variable


@dataclass(frozen=True, kw_only=True)
class AStack(Settings):
    stack: str = "a-stack"


@dataclass(frozen=True, kw_only=True)
class AProvider(AStack):
    certificate_arn: str = variable("CERTIFICATE_ARN")


FOLDER = Path(__file__).parent.parent.parent
# moto's account, and zones of it.
ENVIRON = {"AWS_ACCOUNT": "123456789012", "AWS_REGION": "us-west-2", "AZ_IDS": "usw2-az1,usw2-az2"}
SUBNETS = """
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  One: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.0.0/24, AvailabilityZone: us-west-2a}}
  Two: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.1.0/24, AvailabilityZone: us-west-2b}}
"""


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield boto3.Session(region_name="us-west-2")


def settings(**environ: str) -> Settings:
    return AStack.read({**ENVIRON, **environ})


def deploy_subnets(session: boto3.Session) -> str:
    """A stack with two subnets; their zone ids, as in AZ_IDS."""
    session.client("cloudformation").create_stack(StackName="a-stack", TemplateBody=SUBNETS)
    ids = checks.stack_resources(session, settings(), "AWS::EC2::Subnet")
    subnets = session.client("ec2").describe_subnets(SubnetIds=ids)["Subnets"]
    return ",".join(sorted(subnet["AvailabilityZoneId"] for subnet in subnets))


def test_fails_when_the_credentials_are_another_accounts(session: boto3.Session) -> None:
    checks.open_session(settings())
    expected = (
        r"are those of account 123456789012 \(arn:.*\), expected account 222222222222 \(AWS_ACCOUNT\); "
        "export the right ones or correct AWS_ACCOUNT$"
    )
    with pytest.raises(CheckError, match=expected):
        checks.open_session(settings(AWS_ACCOUNT="222222222222"))


@pytest.mark.parametrize(
    ("verb", "approval", "message"),
    [
        ("deploy", "broadening", "no terminal to ask for approval.*make deploy APPROVAL=never"),
        ("destroy", "any-change", "no terminal to ask for approval.*make destroy APPROVAL=never"),
        ("deploy", "yes", "APPROVAL is 'yes', expected broadening, any-change or never"),
    ],
)
def test_fails_when_nobody_can_be_asked(verb: str, approval: str, message: str) -> None:
    with pytest.raises(CheckError, match=message):
        checks.check_terminal(verb, approval)


@pytest.mark.parametrize(("verb", "approval"), [("deploy", "never"), ("diff", "broadening")])
def test_nobody_is_asked_where_nothing_is_broadened(verb: str, approval: str) -> None:
    checks.check_terminal(verb, approval)


def test_fails_when_the_account_is_not_bootstrapped(session: boto3.Session) -> None:
    with pytest.raises(CheckError, match=r"123456789012 is not bootstrapped in us-west-2.*make -C a-stack bootstrap"):
        checks.check_bootstrap(session, settings())
    session.client("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="28", Type="String")
    checks.check_bootstrap(session, settings())


def test_a_bootstrap_that_may_not_be_read_stops_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    session = MagicMock()
    ssm = session.client()
    ssm.exceptions.ParameterNotFound = KeyError
    ssm.get_parameter.side_effect = ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetParameter")
    checks.check_bootstrap(session, settings())
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("not checked: the version of the bootstrap stack, which could not be read: ")


def test_fails_when_a_zone_is_not_in_the_account(session: boto3.Session) -> None:
    checks.check_zones(session, settings())
    with pytest.raises(CheckError, match="zone usw2-az9 is not in us-west-2 of account 123456789012"):
        checks.check_zones(session, settings(AZ_IDS="usw2-az1,usw2-az9"))


def test_fails_when_zones_change_after_the_first_deploy(session: boto3.Session) -> None:
    deployed = deploy_subnets(session)
    checks.check_zones(session, settings(AZ_IDS=deployed))
    other = ",".join(sorted({"usw2-az1", "usw2-az2", "usw2-az3"} - {deployed[:8]}))
    with pytest.raises(
        CheckError, match=f"a-stack was first deployed to {deployed}, now {other} is .*; keep AZ_IDS={deployed}"
    ):
        checks.check_zones(session, settings(AZ_IDS=other))


def test_a_rolled_back_stack_holds_nobody_up(session: boto3.Session) -> None:
    # Its resources are still listed, with ids that EC2 does not know any more.
    deploy_subnets(session)
    session.client("cloudformation").delete_stack(StackName="a-stack")
    checks.check_zones(session, settings(AZ_IDS="usw2-az3,usw2-az4"))


@pytest.mark.parametrize(
    ("arn", "message"),
    [
        ("us-west-2:123456789012", r"CERTIFICATE_ARN cannot be read: .*\(ResourceNotFoundException\).*; correct it$"),
        ("us-east-1:123456789012", "is one of .* 123456789012 in us-east-1, expected one of account .* in us-west-2,"),
        ("us-west-2:222222222222", "is one of .* 222222222222 in us-west-2, expected one of account 123456789012 in"),
    ],
)
def test_fails_when_a_certificate_is_not_there(session: boto3.Session, arn: str, message: str) -> None:
    with pytest.raises(CheckError, match=message):
        checks.check_certificate(session, settings(), f"arn:aws:acm:{arn}:certificate/0", "CERTIFICATE_ARN", 0)


def test_fails_when_a_certificate_is_not_issued(session: boto3.Session) -> None:
    arn = session.client("acm").request_certificate(DomainName="dogs.example.com")["CertificateArn"]
    with pytest.raises(CheckError, match="CERTIFICATE_ARN is PENDING_VALIDATION, expected ISSUED; renew it in ACM, or"):
        checks.check_listener_certificate(session, AProvider.read({**ENVIRON, "CERTIFICATE_ARN": arn}))
    checks.check_listener_certificate(session, AProvider.read(ENVIRON))


@pytest.mark.parametrize(
    ("algorithm", "kind", "says"),
    [
        ("RSA_4096", "IMPORTED", "error: CERTIFICATE_ARN has a key of RSA_4096, expected at most 3,072 bits; request"),
        ("RSA-3072", "IMPORTED", ""),
        ("EC_secp521r1", "PRIVATE", "CERTIFICATE_ARN is of a private authority, which API Gateway does not trust"),
    ],
)
def test_a_listener_takes_no_key_of_4096_bits_and_api_gateway_trusts_no_private_authority(
    algorithm: str, kind: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    session, arn = MagicMock(), "arn:aws:acm:us-west-2:123456789012:certificate/0"
    found = {"Status": "ISSUED", "KeyAlgorithm": algorithm, "Type": kind}
    session.client().describe_certificate.return_value = {"Certificate": found}
    try:
        checks.check_listener_certificate(session, AProvider.read({**ENVIRON, "CERTIFICATE_ARN": arn}))
    except CheckError as error:
        print(error)
    assert re.match(says or "$", capsys.readouterr().out)


def run(program: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command, own = [sys.executable, *program.split()], {"PATH": os.environ["PATH"], **environ}
    return subprocess.run(command, cwd=FOLDER, env=own, capture_output=True, text=True)


@pytest.mark.parametrize("program", ["app.py", "preflight.py deploy never"])
def test_fails_when_settings_are_missing_in_one_message_without_a_traceback(program: str) -> None:
    done = run(program)
    assert done.returncode == 2
    account, region, *own = re.findall(r"^error: (\w+) is missing, for example", done.stderr, re.MULTILINE)
    assert (account, region) == ("AWS_ACCOUNT", "AWS_REGION") and len(own) == done.stderr.count("\n") - 2
    # A provider's own asks for its consumer, the gateway's own for the services of its registry.
    assert own == ["API_GATEWAY_ACCOUNT_ARN"] or {*own} >= {"DOGNAME_SERVICE_NAME", "TODO_SERVICE_NAME"}


def test_a_folder_is_bootstrapped_before_anybody_knows_its_other_settings() -> None:
    environ = {"AWS_ACCOUNT": "222222222222", "AWS_REGION": "us-west-2", "AWS_PROFILE": "nobodys"}
    done = run("preflight.py bootstrap never", **environ)
    assert (done.returncode, done.stderr) == (
        2,
        "error: no usable AWS credentials for account 222222222222: The config profile (nobodys) could not be found; "
        "export its AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or set PROFILE=<profile>\n",
    )


def test_a_verb_without_checks_of_its_own_passes(session: boto3.Session) -> None:
    checks.main(["failed", "never"], ENVIRON, AStack, {})
