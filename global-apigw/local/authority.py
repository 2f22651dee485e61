"""Stands for a certificate authority on this machine, which the local run trusts: certificates of servers and clients."""

import datetime
from pathlib import Path

import trustme


def issue(folder: Path, name: str, *addresses: str, not_after: datetime.datetime | None = None) -> Path:
    """`<name>.pem`, with its key in `<name>-key.pem`, signed by the `authority.pem` of the folder, which is made when it is missing.

    A server has DNS names or IP addresses as `addresses`, a client has none. Only the owner can read the keys.
    """
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / "authority.pem", folder / "authority-key.pem"
    if not key.exists():
        authority = trustme.CA(organization_name="local run", organization_unit_name="authority")
        _write(certificate, authority.cert_pem.bytes(), key, authority.private_key_pem.bytes())
    authority = trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    issued = authority.issue_cert(
        *(addresses or [name]),  # strict readers refuse a certificate with an empty list of names
        common_name=name,
        organization_name="local run",
        organization_unit_name="servers" if addresses else "clients",
        not_after=not_after,
    )
    [pem] = issued.cert_chain_pems
    _write(folder / f"{name}.pem", pem.bytes(), folder / f"{name}-key.pem", issued.private_key_pem.bytes())
    return folder / f"{name}.pem"


def _write(certificate: Path, pem: bytes, key: Path, key_pem: bytes) -> None:
    certificate.write_bytes(pem)
    key.touch(mode=0o600)
    key.write_bytes(key_pem)
