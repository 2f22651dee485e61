"""Updates by make and the real CDK CLI: one that CloudFormation rolls back, and the one after it."""

import json

import pytest

from .environment import REGION, STRANGER, Checkout, Environment

pytestmark = pytest.mark.slow
TOPIC = f"arn:aws:sns:{REGION}:{STRANGER}:alarms"


def test_the_reason_of_a_failed_update_is_printed_and_the_next_deploy_goes_through(
    environment: Environment, fresh: Checkout
) -> None:
    team, name = environment.shell(STRANGER), "ecs-provider"
    cloudformation, cloudwatch = (environment.client(STRANGER, each) for each in ("cloudformation", "cloudwatch"))

    def topics() -> list[str]:
        alarms = cloudwatch.describe_alarms(AlarmNamePrefix=name)["MetricAlarms"]
        return [action for alarm in alarms for action in alarm["AlarmActions"]]

    for command in ("make -C ecs-provider bootstrap", "make deploy-ecs"):
        done = fresh.run(command, team)
        assert done.returncode == 0, done.stderr
    assert topics() == []
    environment.client(STRANGER, "sns").create_topic(Name="alarms")
    denied = {"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "LogicalResourceId/Alarms*"}
    allowed = {**denied, "Effect": "Allow", "Resource": "*"}
    cloudformation.set_stack_policy(StackName=name, StackPolicyBody=json.dumps({"Statement": [allowed, denied]}))
    # Without make, which sets the policy anew.
    person = team | {"ALARM_TOPIC_ARN": TOPIC}
    failed = fresh.run("npx cdk deploy --all --require-approval never", person, name)
    assert failed.returncode != 0
    assert "Action denied by stack policy: Statement [#2] does not allow [Update:Modify] for resource" in failed.stderr
    assert cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert topics() == []
    again = fresh.run(f"make deploy-ecs ALARM_TOPIC_ARN={TOPIC}", team)
    assert again.returncode == 0, again.stderr
    assert topics() == [TOPIC]
