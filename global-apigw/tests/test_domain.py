"""The check of the certificate and the hosted zone of the API's domain before a deploy."""

import re
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError

from common.checks import CheckError
from infra.changes import check_mutual_tls
from infra.checks import check_domain
from infra.registry import load_registry
from tests.conftest import FOLDER, SETTINGS

REGISTRY = load_registry(FOLDER / "examples/production.toml")
CERTIFICATE: dict[str, Any] = {
    "Status": "ISSUED",
    "DomainName": "api.example.com",
    "Type": "AMAZON_ISSUED",
    "KeyAlgorithm": "RSA_2048",
}
WILDCARD = {**CERTIFICATE, "DomainName": "example.com", "SubjectAlternativeNames": ["example.com", "*.example.com"]}
ZONE: dict[str, Any] = {"Name": "example.com.", "Config": {"PrivateZone": False}}
ARN = "arn:aws:acm:us-west-2:111111111111:certificate/0"
ELSEWHERE = "expected one of account 111111111111 in us-west-2, where global-apigw is; request one there"
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeCertificate")


class NotFound(ClientError):
    """API Gateway has no such domain name."""


MISSING = NotFound({"Error": {"Code": "NotFoundException"}}, "GetDomainName")


def check(
    found: Any,
    zone: Any,
    *records: tuple[str, str],
    own: Sequence[str] = (),
    known: Any = MISSING,
    **domain: str | None,
) -> Any:
    """With a registry whose domain has other values; `own` are resources of the stack. What AWS was asked."""
    session = MagicMock()
    session.client().exceptions.NotFoundException = NotFound
    session.client().get_domain_name.side_effect = known
    session.client().get_paginator().paginate().search.return_value = own
    session.client().list_resource_record_sets.return_value = {
        "ResourceRecordSets": [{"Name": name, "Type": type} for name, type in records]
    }
    session.client().describe_certificate.side_effect = [
        found if isinstance(found, Exception) else {"Certificate": found}
    ]
    session.client().get_hosted_zone.return_value = {"HostedZone": zone}
    assert REGISTRY.api.domain
    api = REGISTRY.api.model_copy(update={"domain": REGISTRY.api.domain.model_copy(update=domain)})
    check_domain(session, replace(SETTINGS, registry=REGISTRY.model_copy(update={"api": api})))
    return session.client()


@pytest.mark.parametrize(
    ("certificate", "zone"),
    [
        (CERTIFICATE, ZONE),
        (CERTIFICATE, {**ZONE, "Name": "api.example.com."}),
        (WILDCARD, ZONE),
        ({**CERTIFICATE, "KeyAlgorithm": "RSA-2048"}, ZONE),
        ({**CERTIFICATE, "KeyAlgorithm": "EC_secp384r1"}, ZONE),
    ],
)
def test_what_the_deploy_can_use_passes(certificate: Any, zone: Any) -> None:
    check(certificate, zone).describe_certificate.assert_called_once()


def test_without_a_hosted_zone_none_is_asked_for() -> None:
    check(CERTIFICATE, {}, hosted_zone=None).get_hosted_zone.assert_not_called()


def test_without_a_truststore_the_certificate_may_be_imported() -> None:
    check({**CERTIFICATE, "Type": "IMPORTED"}, ZONE, truststore=None)


@pytest.mark.parametrize(
    ("certificate", "domain", "warned"),
    [(WILDCARD, {}, True), (WILDCARD, {"truststore": None}, False), (CERTIFICATE, {}, False)],
)
def test_a_wildcard_beside_a_truststore_gets_a_warning(
    certificate: Any, domain: dict[str, Any], warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    check(certificate, ZONE, **domain)
    assert ("certificate has a wildcard: with truststore, AWS" in capsys.readouterr().out) == warned


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
        ({**CERTIFICATE, "KeyAlgorithm": "RSA_3072"}, ZONE, ARN, "certificate has a key of RSA_3072, expected at most 2,048 bits; request"),
        (DENIED, ZONE, ARN, "certificate cannot be read: An error occurred (AccessDenied)"),
    ],
)  # fmt: skip
def test_fails_when_the_deploy_would_fail(certificate: Any, zone: Any, arn: str, message: str) -> None:
    with pytest.raises(CheckError) as error:
        check(certificate, zone, certificate=arn)
    assert str(error.value).startswith(f"error: [api.domain] of the registry: {message}")


@pytest.mark.parametrize(
    ("own", "known", "records", "message"),
    [
        ([], [{}], [], "name is api.example.com, a domain name that API Gateway has already; delete that, or take another name"),
        ([], MISSING, [("api.example.com.", "CNAME")], "hosted_zone example.com. has a record of api.example.com already: CNAME; "),
        ([], MISSING, [("api.example.com.", "AAAA"), ("api.example.com.", "A")], "hosted_zone … already: A, AAAA; delete it"),
        ([], DENIED, [], "cannot be checked: An error occurred (AccessDenied) … or get the right that is missing"),
        ([], MISSING, [("api.example.com.", "TXT"), ("b.example.com.", "A")], ""),
        (["api.example.com"], [{}], [("api.example.com.", "A")], ""),
    ],
)  # fmt: skip
def test_fails_when_the_name_is_taken_by_what_is_not_of_the_stack(
    own: list[str], known: Any, records: list[tuple[str, str]], message: str
) -> None:
    expected = re.escape(f"error: [api.domain] of the registry: {message}").replace("…", ".*")
    with pytest.raises(CheckError, match=f"^{expected}") if message else nullcontext():
        check(CERTIFICATE, ZONE, *records, own=own, known=known)


URI = {"TruststoreUri": "s3://b/0.pem"}
TURNED_OFF = "mutual TLS of api.example.com was still on, and is turned off"
OLD = "API Gateway warns of the truststore of api.example.com: certificate 1 has expired"


@pytest.mark.parametrize(
    ("template", "found", "printed"),
    [
        ({"MutualTlsAuthentication": URI}, {"MutualTlsAuthentication": URI}, []),
        ({"MutualTlsAuthentication": URI}, {"MutualTlsAuthentication": URI | {"TruststoreWarnings": ["certificate 1 has expired"]}}, [OLD]),
        ({}, {"MutualTlsAuthentication": URI}, [TURNED_OFF]),
        ({}, {"MutualTlsAuthentication": {"TruststoreUri": ""}}, []),
        ({}, {}, []),
        (None, {}, []),
    ],
)  # fmt: skip
def test_after_a_deploy_mutual_tls_is_as_the_template_has_it(
    template: Any, found: Any, printed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    session = MagicMock()
    domain = {
        "Type": "AWS::ApiGatewayV2::DomainName",
        "Properties": {"DomainName": "api.example.com", **(template or {})},
    }
    resources = {} if template is None else {"Domain": domain}
    session.client().describe_stacks.return_value = {"Stacks": [{"StackStatus": "UPDATE_COMPLETE"}]}
    session.client().get_template.return_value = {"TemplateBody": {"Resources": resources}}
    session.client().get_domain_name.return_value = found
    check_mutual_tls(session, SETTINGS)
    assert capsys.readouterr().out.splitlines() == printed
    changed = [call.kwargs for call in session.client().update_domain_name.call_args_list]
    off = {"DomainName": "api.example.com", "MutualTlsAuthentication": {"TruststoreUri": ""}}
    assert changed == [off] * (TURNED_OFF in printed)
