"""Who calls: an access key carries its account, and AWS lets a role be assumed only by whom it trusts."""

import re
from typing import Any

import moto.iam.models as iam
from moto.core.exceptions import InvalidClientTokenIdError
from moto.sts.exceptions import STSClientError
from moto.sts.models import STSBackend

assume_in_moto = STSBackend.assume_role


def account_of(key: str) -> str:
    """The account of our keys, see environment.py, and of assumed roles. AWS refuses any other key."""
    if ours := re.fullmatch(r"AKIA(\d{12})TEST", key):
        return ours[1]
    for account, partitions in list(iam.iam_backends.items()):
        if key in partitions["aws"].access_keys:
            return account
    raise InvalidClientTokenIdError


def assume_role(self: STSBackend, **arguments: Any) -> Any:
    """moto gives anybody any role; those of `cdk bootstrap` trust their own account, once they exist."""
    role = arguments["role_arn"]
    if role not in [known.arn for known in iam.iam_backends[self.account_id]["aws"].roles.values()]:
        raise STSClientError("AccessDenied", f"not authorized to perform: sts:AssumeRole on resource: {role}")
    return assume_in_moto(self, **arguments)


def install() -> None:
    iam.get_account_id_from = account_of  # type: ignore[assignment] # only its parameter has another name
    STSBackend.assume_role = assume_role  # type: ignore[assignment,method-assign]
