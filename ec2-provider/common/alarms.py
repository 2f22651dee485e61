"""CloudWatch alarms, to one SNS topic when there is one."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_sns as sns
from constructs import Construct


class Alarms(Construct):
    """`topic_arn` may be empty: the alarms are there all the same, and tell nobody."""

    def __init__(self, scope: Construct, id: str, *, topic_arn: str) -> None:
        super().__init__(scope, id)
        self._topic = sns.Topic.from_topic_arn(self, "Topic", topic_arn) if topic_arn else None

    def add(
        self,
        id: str,
        metric: cloudwatch.IMetric,
        *,
        description: str,
        at_least: float | None = None,
        below: float | None = None,
        periods: int = 1,
    ) -> cloudwatch.Alarm:
        """In alarm when the metric is `at_least` or `below` a value for `periods` in a row.

        Missing data is good for what counts faults, and bad for what counts health.
        """
        operators, treatments = cloudwatch.ComparisonOperator, cloudwatch.TreatMissingData
        alarm = cloudwatch.Alarm(
            self,
            id,
            metric=metric,
            alarm_description=description,
            threshold=(below if at_least is None else at_least) or 0,
            comparison_operator=operators.LESS_THAN_THRESHOLD
            if at_least is None
            else operators.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=periods,
            treat_missing_data=treatments.BREACHING if at_least is None else treatments.NOT_BREACHING,
        )
        if self._topic:
            alarm.add_alarm_action(actions.SnsAction(self._topic))
            alarm.add_ok_action(actions.SnsAction(self._topic))
        return alarm

    def healthy_targets(self, id: str, target_group: elbv2.NetworkTargetGroup) -> cloudwatch.Alarm:
        """Fewer than two healthy targets for three minutes: the next loss is an outage.

        Each node of the load balancer reports a count of its own, and the NLB's guide recommends the maximum: the minimum
        is the view of one node, which may be new or about to go.
        """
        metric = target_group.metrics.healthy_host_count(statistic="Maximum", period=Duration.minutes(1))
        return self.add(id, metric, below=2, periods=3, description=f"{id}: fewer than two healthy targets")
