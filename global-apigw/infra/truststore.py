"""What API Gateway takes as a truststore: docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-mutual-tls.html"""

from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

# docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
MAX_TRUSTED, MAX_BYTES = 1000, 1_000_000
# "A maximum chain length of four": others saw a client pass below a root and three more, so its own certificate does not count.
MAX_CHAIN = 4
TRUSTSTORE = f"a .pem file beside the registry, with 1 to {MAX_TRUSTED:,} certificates, no key, and at most 1 MB"


def check_truststore(file: Path) -> None:
    """ValueError says what is expected. API Gateway would refuse the file in the middle of a deploy, or clients with a 403."""
    try:
        text = file.read_text()
        found = x509.load_pem_x509_certificates(text.encode())
        others = {each.subject for each in found if not _is_authority(each)}
    except (OSError, ValueError, x509.DuplicateExtension):  # no such file, or no PEM
        raise ValueError(TRUSTSTORE) from None
    whole = len(found) == text.count("BEGIN CERTIFICATE") <= MAX_TRUSTED
    if not whole or len(text) > MAX_BYTES or "PRIVATE KEY" in text:
        raise ValueError(TRUSTSTORE)
    named = {each.subject: each for each in found}
    for each in found:
        name = each.subject.rfc4514_string()
        if named[each.subject] is not each:  # *assumed*: AWS does not document it; others saw it refused
            raise ValueError(f"one certificate of a name, but two are of {name}: give the new authority another name")
        if each.subject in others:
            raise ValueError(f"certificates of authorities, but {name} is none: put its issuer here instead")
        last, length = each, 1
        while (issuer := _issuer(last, named)) is not last:
            last, length = issuer, length + 1
            if length > MAX_CHAIN:
                raise ValueError(f"at most {MAX_CHAIN} certificates up to a root, but {name} has more: leave it out")


def _is_authority(certificate: x509.Certificate) -> bool:
    """ "You can also provide self-signed certificates"."""
    values = [each.value for each in certificate.extensions]
    is_authority = any(isinstance(each, x509.BasicConstraints) and each.ca for each in values)
    return is_authority or certificate.issuer == certificate.subject


def _issuer(certificate: x509.Certificate, named: Mapping[x509.Name, x509.Certificate]) -> x509.Certificate:
    try:
        certificate.verify_directly_issued_by(issuer := named[certificate.issuer])
    except (KeyError, ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        name = certificate.subject.rfc4514_string()
        raise ValueError(f"all certificates up to a root, but the issuer of {name} is not here: add it") from None
    return issuer
