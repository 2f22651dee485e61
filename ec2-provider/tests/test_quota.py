"""The vCPUs that a deploy launches must fit into the account's quota: the rehearsal shows the refusal, this the counting."""

from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore.stub import Stubber

from common.checks import CheckError
from common.settings import Settings
from infra import checks

SETTINGS = Settings.read({"AWS_ACCOUNT": "333333333333", "AWS_REGION": "us-west-2"}, stack="ec2-provider")
OURS = {"InstanceType": "t4g.micro", "CpuOptions": {"CoreCount": 2, "ThreadsPerCore": 1}}
HYPER = {"InstanceType": "m5.xlarge", "CpuOptions": {"CoreCount": 2, "ThreadsPerCore": 2}}
SPOT = OURS | {"InstanceLifecycle": "spot"}
OTHERS = [SPOT, *(HYPER | {"InstanceType": kind} for kind in ("x1.16xlarge", "inf1.xlarge"))]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Checks an account with a quota, or none that may be read, and instances; gives the text that the check prints."""

    def check(value: float | None, *instances: dict[str, Any], deployed: bool = True) -> str:
        clients: dict[str, Any] = {name: boto3.client(name, "us-west-2") for name in ("service-quotas", "ec2")}
        quotas, ec2 = map(Stubber, clients.values())
        if value is None:
            quotas.add_client_error("get_service_quota", "AccessDeniedException")
        else:
            asked = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}
            quotas.add_response("get_service_quota", {"Quota": {"Value": value}}, asked)
        running = {"Filters": [{"Name": "instance-state-name", "Values": ["pending", "running"]}]}
        ec2.add_response("describe_instances", {"Reservations": [{"Instances": [*instances]}]}, running)
        monkeypatch.setattr(checks, "stack_resources", lambda *_: ["group"] * deployed)
        with quotas, ec2:
            checks.check_quota(Mock(client=lambda name, **_: clients[name]), SETTINGS)
        return capsys.readouterr().out

    return check


def test_a_replacement_within_the_quota_prints_nothing(check: Any) -> None:
    assert check(8, OURS, OURS, *OTHERS) == ""


@pytest.mark.parametrize(("quota", "running"), [(7, [OURS, OURS]), (8, [OURS, OURS, HYPER]), (3, [])])
def test_fails_when_a_deploy_launches_more_than_the_quota(check: Any, quota: int, running: Any) -> None:
    with pytest.raises(
        CheckError, match="this deploy launches 4 more; ask for more and wait for it: aws service-quotas"
    ):
        check(quota, *running, deployed=bool(running))


def test_a_new_account_is_told_before_it_cannot_replace_its_instances(check: Any) -> None:
    assert check(5, deployed=False) == (
        "account 333333333333 may run 5 vCPUs in us-west-2 (quota L-1216C47A), 0 run already: enough for this deploy, but the "
        "next one replaces the instances and needs 8; ask for more now: aws service-quotas "
        "request-service-quota-increase --region us-west-2 --service-code ec2 --quota-code L-1216C47A --desired-value 8\n"
    )


def test_a_quota_that_may_not_be_read_stops_no_deploy(check: Any) -> None:
    assert check(None).startswith(
        "not checked: the quota L-1216C47A of account 333333333333, which could not be read: "
    )
