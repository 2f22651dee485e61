"""The alarms of the API. README.md, "From alarm to cause", says what to do about each."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs

from common.alarms import Alarms
from infra.api import Api

PERIOD = Duration.minutes(5)
# One client in a hundred is more than retries hide.
SERVER_ERROR_PERCENT = 1
# Services answer within milliseconds; three seconds mean that their own retries are at work.
P99_MILLISECONDS = 3000
# A deploy or a lost instance costs a request or two; ten in five minutes are a fault.
INTEGRATION_ERRORS = 10
# A client in a loop gets there within seconds, ordinary bursts do not.
THROTTLED_REQUESTS = 100


def add_api_alarms(alarms: Alarms, api: Api) -> None:
    """HTTP APIs have no metric for integration errors and 429s: those are counted in the access log.

    The ids have capital letters, and the names of services, which have an alarm each beside these, have none.
    """
    count, errors = _metric(api, "Count", "Sum"), _metric(api, "5xx", "Sum")
    rate = cloudwatch.MathExpression(
        expression="100 * errors / FILL(requests, 1)",
        using_metrics={"errors": errors, "requests": count},
        period=PERIOD,
        label="5xx answers in percent",
    )
    alarms.add(
        "ServerErrors",
        rate,
        at_least=SERVER_ERROR_PERCENT,
        periods=2,
        description="API: 1 % of the answers or more are 5xx",
    )
    latency = _metric(api, "Latency", "p99")
    alarms.add("Latency", latency, at_least=P99_MILLISECONDS, periods=3, description="API: p99 latency of 3 s or more")
    failed = _count(api, "IntegrationErrors", '{ $.integrationError != "-" }')
    alarms.add(
        "IntegrationErrors", failed, at_least=INTEGRATION_ERRORS, description="API: backends not reached or too slow"
    )
    throttled = _count(api, "ThrottledRequests", '{ $.status = "429" }')
    alarms.add("Throttled", throttled, at_least=THROTTLED_REQUESTS, description="API: many requests over a limit")


def _metric(api: Api, name: str, statistic: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/ApiGateway",
        metric_name=name,
        dimensions_map={"ApiId": api.api.ref},
        statistic=statistic,
        period=PERIOD,
    )


def _count(api: Api, name: str, pattern: str) -> cloudwatch.Metric:
    counted = logs.MetricFilter(
        api,
        name,
        log_group=api.access_log,
        filter_pattern=logs.FilterPattern.literal(pattern),
        metric_namespace=Stack.of(api).stack_name,
        metric_name=name,
        metric_value="1",
    )
    return counted.metric(statistic="Sum", period=PERIOD)
