"""Who may assume the roles that the templates create."""

from typing import Any

import pytest

from tests.conftest import FOLDERS
from tools.template import Template

ACCOUNTS = dict(zip(FOLDERS, ("222222222222", "333333333333", "111111111111"), strict=True))
# EC2 hands its instances the credentials itself, without a source that the role's policy could see.
WITHOUT_SOURCE = {"ec2.amazonaws.com"}


def trusts(template: Template) -> list[dict[str, Any]]:
    roles = template.of_type("AWS::IAM::Role")
    return [each for role in roles for each in role.properties["AssumeRolePolicyDocument"]["Statement"]]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_role_trusts_a_service_only_when_it_acts_for_this_account(
    templates: dict[str, Template], folder: str
) -> None:
    # Else the service, asked by somebody of another account, could be talked into using the role.
    found = trusts(templates[folder])
    assert found
    for statement in found:
        [service] = statement["Principal"].values()
        own = {"StringEquals": {"aws:SourceAccount": ACCOUNTS[folder]}}
        assert statement.get("Condition") == (None if service in WITHOUT_SOURCE else own), service
