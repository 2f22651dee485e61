"""What a deploy launches must fit into the account's vCPUs: the rehearsal shows the refusal, this the counting."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from common.checks import CheckError
from common.settings import Settings
from infra import quota
from tests.test_template import synthesize

SETTINGS = Settings.read({"AWS_ACCOUNT": "333333333333", "AWS_REGION": "us-west-2"}, stack="ec2-provider")
OURS = {"InstanceType": "t4g.micro", "CpuOptions": {"CoreCount": 2, "ThreadsPerCore": 1}}
HYPER = {"InstanceType": "m5.xlarge", "CpuOptions": {"CoreCount": 2, "ThreadsPerCore": 2}}
OTHERS = [
    OURS | {"InstanceLifecycle": "spot"},
    HYPER | {"InstanceType": "x1.16xlarge"},
    HYPER | {"InstanceType": "inf1.xlarge"},
]


class Account:
    """Service Quotas, EC2 and CloudFormation with a quota, or none that may be read, and what runs."""

    def __init__(self, value: float | None, *instances: dict[str, Any], deployed: bool = True) -> None:
        self.value, self.instances, self.deployed = value, instances, deployed

    def client(self, *_: object, **__: object) -> "Account":
        return self

    def get_service_quota(self, **asked: str) -> dict[str, Any]:
        assert asked == {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}
        if self.value is None:
            error = {"Code": "AccessDeniedException", "Message": "no"}
            raise ClientError({"Error": error}, "GetServiceQuota")  # type: ignore[typeddict-item]
        return {"Quota": {"Value": self.value}}

    def get_paginator(self, operation: str) -> "Account":
        return self

    def paginate(self, **asked: Any) -> list[dict[str, Any]]:
        if "Filters" in asked:
            assert asked["Filters"] == [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
            return [{"Reservations": [{"Instances": [instance]}]} for instance in self.instances]
        group = {"ResourceType": "AWS::AutoScaling::AutoScalingGroup", "PhysicalResourceId": "group"}
        status = "CREATE_COMPLETE" if self.deployed else "DELETE_COMPLETE"
        return [{"StackResourceSummaries": [group | {"ResourceStatus": status}]}]


def check(account: Account) -> None:
    quota.check_quota(account, SETTINGS)  # type: ignore[arg-type]


def test_a_roll_within_the_quota_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    check(Account(8, OURS, OURS, *OTHERS))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("account", [Account(7, OURS, OURS), Account(8, OURS, OURS, HYPER), Account(3, deployed=False)])
def test_fails_when_a_deploy_launches_more_than_the_quota(account: Account) -> None:
    with pytest.raises(
        CheckError, match="this deploy launches 4 more; ask for more and wait for it: aws service-quotas"
    ):
        check(account)


def test_a_new_account_is_told_before_it_cannot_roll(capsys: pytest.CaptureFixture[str]) -> None:
    check(Account(5, deployed=False))
    assert capsys.readouterr().out == (
        "account 333333333333 may run 5 vCPUs in us-west-2 (quota L-1216C47A), 0 run already: enough for this deploy, not for "
        "the next one, which replaces the instances and needs 8; ask for more now: aws service-quotas "
        "request-service-quota-increase --region us-west-2 --service-code ec2 --quota-code L-1216C47A --desired-value 8\n"
    )


def test_a_quota_that_may_not_be_read_stops_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    check(Account(None, OURS, OURS))
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("not checked: the quota L-1216C47A of account 333333333333, which could not be read: ")


def test_what_a_deploy_launches_is_what_the_template_says(tmp_path: Path) -> None:
    template = synthesize(tmp_path)
    [group] = template.find_resources("AWS::AutoScaling::AutoScalingGroup").values()
    template.has_resource_properties("AWS::EC2::LaunchTemplate", {"LaunchTemplateData": {"InstanceType": "t4g.micro"}})
    assert int(group["Properties"]["MinSize"]) * 2 == quota.LAUNCHED
