"""The vCPUs that a deploy launches must fit into the account's quota: the rehearsal shows the refusal, this the counting."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jmespath  # type: ignore[import-untyped]
import pytest
from botocore.exceptions import ClientError

from common.checks import CheckError
from common.settings import Settings
from infra.checks import LAUNCHED, check_quota
from tests.test_template import only, synthesize

SETTINGS = Settings.read({"AWS_ACCOUNT": "333333333333", "AWS_REGION": "us-west-2"}, stack="ec2-provider")
OURS = {"InstanceType": "t4g.micro", "CpuOptions": {"CoreCount": 2, "ThreadsPerCore": 1}}
HYPER = {"InstanceType": "m5.xlarge", "CpuOptions": {"CoreCount": 2, "ThreadsPerCore": 2}}
OTHERS = [
    OURS | {"InstanceLifecycle": "spot"},
    HYPER | {"InstanceType": "x1.16xlarge"},
    HYPER | {"InstanceType": "inf1.xlarge"},
]


class Pages(list[dict[str, Any]]):
    def search(self, expression: str) -> Iterator[Any]:
        return (found for page in self for found in jmespath.search(expression, page))


class Account:
    """Service Quotas, EC2 and CloudFormation of an account that has a quota, or none that may be read, and instances."""

    def __init__(self, value: float | None, *instances: dict[str, Any], deployed: bool = True) -> None:
        self.value, self.instances, self.deployed = value, instances, deployed

    def client(self, *_: object, **__: object) -> "Account":
        return self

    def get_service_quota(self, **asked: str) -> dict[str, Any]:
        assert asked == {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}
        if self.value is None:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetServiceQuota")
        return {"Quota": {"Value": self.value}}

    def get_paginator(self, operation: str) -> "Account":
        return self

    def paginate(self, **asked: Any) -> Pages:
        if "Filters" in asked:
            assert asked["Filters"] == [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
            return Pages({"Reservations": [{"Instances": [instance]}]} for instance in self.instances)
        group = {"ResourceType": "AWS::AutoScaling::AutoScalingGroup", "PhysicalResourceId": "group"}
        status = "CREATE_COMPLETE" if self.deployed else "DELETE_COMPLETE"
        return Pages([{"StackResourceSummaries": [group | {"ResourceStatus": status}]}])


def check(account: Account) -> None:
    check_quota(account, SETTINGS)  # type: ignore[arg-type]


def test_a_replacement_within_the_quota_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    check(Account(8, OURS, OURS, *OTHERS))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("account", [Account(7, OURS, OURS), Account(8, OURS, OURS, HYPER), Account(3, deployed=False)])
def test_fails_when_a_deploy_launches_more_than_the_quota(account: Account) -> None:
    message = "this deploy launches 4 more; ask for more and wait for it: aws service-quotas"
    with pytest.raises(CheckError, match=message):
        check(account)


def test_a_new_account_is_told_before_it_cannot_replace_its_instances(capsys: pytest.CaptureFixture[str]) -> None:
    check(Account(5, deployed=False))
    assert capsys.readouterr().out == (
        "account 333333333333 may run 5 vCPUs in us-west-2 (quota L-1216C47A), 0 run already: enough for this deploy, but the "
        "next one replaces the instances and needs 8; ask for more now: aws service-quotas "
        "request-service-quota-increase --region us-west-2 --service-code ec2 --quota-code L-1216C47A --desired-value 8\n"
    )


def test_a_quota_that_may_not_be_read_stops_no_deploy(capsys: pytest.CaptureFixture[str]) -> None:
    check(Account(None, OURS, OURS))
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("not checked: the quota L-1216C47A of account 333333333333, which could not be read: ")


def test_a_deploy_launches_as_many_vcpus_as_the_template_says(tmp_path: Path) -> None:
    template = synthesize(tmp_path)
    template.has_resource_properties("AWS::EC2::LaunchTemplate", {"LaunchTemplateData": {"InstanceType": "t4g.micro"}})
    group = only(template, "AWS::AutoScaling::AutoScalingGroup")
    assert int(group["Properties"]["MinSize"]) * 2 == LAUNCHED
