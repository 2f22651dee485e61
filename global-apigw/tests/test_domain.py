"""The check of the certificate and the hosted zone of the API's domain before a deploy."""

from dataclasses import replace
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError

from common.checks import CheckError
from infra.checks import check_domain, print_truststore_warnings
from infra.registry import load_registry
from tests.conftest import FOLDER, SETTINGS

REGISTRY = load_registry(FOLDER / "examples/production.toml")
CERTIFICATE: dict[str, Any] = {"Status": "ISSUED", "DomainName": "api.example.com", "Type": "AMAZON_ISSUED"}
ZONE: dict[str, Any] = {"Name": "example.com.", "Config": {"PrivateZone": False}}
ARN = "arn:aws:acm:us-west-2:111111111111:certificate/0"
ELSEWHERE = "expected one of account 111111111111 in us-west-2, where global-apigw is; request one there"
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeCertificate")


def check(found: Any, zone: Any, **domain: str | None) -> Any:
    """With a registry whose domain has other values; what AWS was asked."""
    session = MagicMock()
    session.client().describe_certificate.side_effect = [
        found if isinstance(found, Exception) else {"Certificate": found}
    ]
    session.client().get_hosted_zone.return_value = {"HostedZone": zone}
    assert REGISTRY.api.domain
    own = REGISTRY.api.domain.model_copy(update=domain)
    api = REGISTRY.api.model_copy(update={"domain": own})
    check_domain(session, replace(SETTINGS, registry=REGISTRY.model_copy(update={"api": api})))
    return session.client()


@pytest.mark.parametrize(
    ("certificate", "zone"),
    [
        (CERTIFICATE, ZONE),
        (CERTIFICATE, {**ZONE, "Name": "api.example.com."}),
        (
            {**CERTIFICATE, "DomainName": "example.com", "SubjectAlternativeNames": ["example.com", "*.example.com"]},
            ZONE,
        ),
    ],
)
def test_what_the_deploy_can_use_passes(certificate: Any, zone: Any) -> None:
    check(certificate, zone).describe_certificate.assert_called_once()


def test_without_a_hosted_zone_none_is_asked_for() -> None:
    check(CERTIFICATE, {}, hosted_zone=None).get_hosted_zone.assert_not_called()


def test_without_a_truststore_the_certificate_may_be_imported() -> None:
    check({**CERTIFICATE, "Type": "IMPORTED"}, ZONE, truststore=None)


def test_without_a_domain_nobody_is_asked() -> None:
    session = MagicMock()
    check_domain(session, SETTINGS)
    session.client.assert_not_called()


@pytest.mark.parametrize(
    ("certificate", "zone", "arn", "message"),
    [
        (CERTIFICATE, ZONE, ARN.replace("west-2", "east-1"), f"certificate is one of account 111111111111 in us-east-1, {ELSEWHERE}"),
        (CERTIFICATE, ZONE, ARN.replace("1111:", "1112:"), f"certificate is one of account 111111111112 in us-west-2, {ELSEWHERE}"),
        ({**CERTIFICATE, "Status": "PENDING_VALIDATION"}, ZONE, ARN, "certificate is PENDING_VALIDATION, expected ISSUED"),
        ({**CERTIFICATE, "Type": "IMPORTED"}, ZONE, ARN, "certificate is IMPORTED, expected AMAZON_ISSUED, as truststore needs it"),
        ({**CERTIFICATE, "DomainName": "example.com"}, ZONE, ARN, "certificate is one of example.com, expected one of api.example.com"),
        ({**CERTIFICATE, "DomainName": "*.api.example.com"}, ZONE, ARN, "certificate is one of *.api.example.com, expected"),
        ({**CERTIFICATE, "DomainName": "*.com"}, ZONE, ARN, "certificate is one of *.com, expected one of api.example.com"),
        (CERTIFICATE, {**ZONE, "Name": "ample.com."}, ARN, "hosted_zone is the public zone ample.com., expected a public one that"),
        (CERTIFICATE, {**ZONE, "Config": {"PrivateZone": True}}, ARN, "hosted_zone is the private zone example.com., expected"),
        ({**CERTIFICATE, "Status": "EXPIRED"}, ZONE, ARN, "certificate is EXPIRED, expected ISSUED; renew it in ACM"),
        (DENIED, ZONE, ARN, "certificate cannot be read: An error occurred (AccessDenied)"),
    ],
)  # fmt: skip
def test_fails_when_the_deploy_would_fail(certificate: Any, zone: Any, arn: str, message: str) -> None:
    with pytest.raises(CheckError) as error:
        check(certificate, zone, certificate=arn)
    assert str(error.value).startswith(f"error: [api.domain] of the registry: {message}")


@pytest.mark.parametrize("warnings", [[], ["certificate 1 has expired"]])
def test_a_deploy_prints_what_api_gateway_says_of_the_truststore(
    warnings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    session = MagicMock()
    session.client().get_domain_name.return_value = {"MutualTlsAuthentication": {"TruststoreWarnings": warnings}}
    print_truststore_warnings(session, replace(SETTINGS, registry=REGISTRY))
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition("clients.pem: ")[2] for line in printed] == warnings
