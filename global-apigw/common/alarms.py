"""CloudWatch alarms, to one SNS topic when there is one."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_sns as sns
from constructs import Construct

GOOD, BAD = cloudwatch.TreatMissingData.NOT_BREACHING, cloudwatch.TreatMissingData.BREACHING  # when data is missing
RUNBOOK = 'docs/operate.md, "From alarm to cause"'  # its table has a line for each alarm
WIDTH, GRAPH = 24, 6  # of the grid of a dashboard, of a graph


def dashboard_name(scope: Construct, suffix: str = "") -> str:
    """With the region, because the dashboards of all regions of an account share their names."""
    return f"{Stack.of(scope).stack_name}-{Stack.of(scope).region}{suffix}"


def dashboard_url(scope: Construct, suffix: str = "") -> str:
    """Of the page in the console (*assumed*: AWS documents no addresses of its console)."""
    region, name = Stack.of(scope).region, dashboard_name(scope, suffix)
    return f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#dashboards/dashboard/{name}"


class Alarms(Construct):
    """Without a `topic_arn` the alarms exist and notify nobody."""

    def __init__(self, scope: Construct, id: str, *, topic_arn: str) -> None:
        super().__init__(scope, id)
        topics = [sns.Topic.from_topic_arn(self, "Topic", topic_arn)] if topic_arn else []
        self._actions = [actions.SnsAction(topic) for topic in topics]
        self._alarms: list[cloudwatch.Alarm] = []

    def add(self, id: str, metric: cloudwatch.IMetric, *, at_least: float, description: str, periods: int = 1) -> None:
        """In alarm when the metric, which grows with faults, is >= `at_least` for `periods` in a row; missing data is good."""
        self._add(
            id, description, metric=metric, threshold=at_least, evaluation_periods=periods, treat_missing_data=GOOD
        )

    def healthy_targets(self, id: str, groups: Mapping[str, elbv2.NetworkTargetGroup]) -> None:
        """Fewer than two healthy targets in one of up to ten `groups`, by name, for three minutes: the next loss is an outage.

        Missing data is bad. Each node of the load balancer reports a count of its own, and the NLB's guide recommends the
        maximum: the minimum is the view of one node, which may be new or about to go.
        """
        minute = Duration.minutes(1)
        metrics: dict[str, cloudwatch.IMetric] = {
            f"m{number}": group.metrics.healthy_host_count(
                statistic="Maximum", period=minute, label=name if len(groups) > 1 else None
            )
            for number, (name, group) in enumerate(groups.items())
        }
        [metric, *others] = metrics.values()
        if others:
            least = "MIN(FILL(METRICS(), 0))"
            metric = cloudwatch.MathExpression(expression=least, using_metrics=metrics, period=minute, label="fewest")
        fewer = {"threshold": 2, "comparison_operator": cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD}
        more = {**fewer, "evaluation_periods": 3, "treat_missing_data": BAD}
        self._add(id, f"{', '.join(groups)}: fewer than two healthy targets", metric=metric, **more)

    def widgets(self) -> list[cloudwatch.IWidget]:
        """The states of all alarms in one row, then the graph of each alarm with its threshold."""
        alarms, height = self._alarms, 2 + len(self._alarms) // 5
        states = cloudwatch.AlarmStatusWidget(title="alarms", alarms=alarms, width=WIDTH, height=height)
        graphs = [cloudwatch.AlarmWidget(alarm=each, title=f"alarm {each.node.id}", width=GRAPH) for each in alarms]
        return [states, *graphs]

    def _add(self, id: str, description: str, **properties: Any) -> None:
        text = f"{description}\nrunbook: {RUNBOOK}, {id}\ngraph: {dashboard_url(self)}"  # at most 1,024 characters
        alarm = cloudwatch.Alarm(self, id, alarm_description=text, **properties)
        self._alarms.append(alarm)
        alarm.add_alarm_action(*self._actions)
        alarm.add_ok_action(*self._actions)
