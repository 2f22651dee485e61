"""The alarms of the API. README.md, "From alarm to cause", has the cause of each alarm and the next step."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs

from common.alarms import Alarms
from infra.api import Api

PERIOD = Duration.minutes(5)


def add_api_alarms(alarms: Alarms, api: Api) -> None:
    """Their ids have capital letters; the alarms of the services, which have the names of the services, have none."""
    metrics = apigateway.HttpApi.from_http_api_attributes(api, "Metrics", http_api_id=api.api.ref)
    requests = metrics.metric_count(statistic="Sum", period=PERIOD)
    errors = metrics.metric_server_error(statistic="Sum", period=PERIOD)
    percent = cloudwatch.MathExpression(
        expression="100 * errors / FILL(requests, 1)",
        using_metrics={"errors": errors, "requests": requests},
        period=PERIOD,
        label="5xx answers in percent",
    )
    # The retries of clients hide fewer.
    alarms.add("ServerErrors", percent, at_least=1, periods=2, description="API: 1 % of the answers or more are 5xx")
    latency = metrics.metric_latency(statistic="p99", period=PERIOD)
    # Services answer within milliseconds. Three seconds mean that they retry their own calls.
    alarms.add("Latency", latency, at_least=3000, periods=3, description="API: p99 latency of 3 s or more")
    # A deploy or a lost instance costs one or two requests; ten in five minutes are a fault.
    failed = _count(api, "IntegrationErrors", '{ $.integrationError != "-" }')
    alarms.add("IntegrationErrors", failed, at_least=10, description="API: backends not reached or too slow")
    # A client in a loop reaches this number within seconds, ordinary bursts do not.
    throttled = _count(api, "ThrottledRequests", '{ $.status = "429" }')
    alarms.add("Throttled", throttled, at_least=100, description="API: many requests over a limit")


def _count(api: Api, name: str, pattern: str) -> cloudwatch.Metric:
    """The lines of the access log that match: HTTP APIs have no metric of integration errors, and none of 429s."""
    matches = logs.MetricFilter(
        api,
        name,
        log_group=api.access_log,
        filter_pattern=logs.FilterPattern.literal(pattern),
        metric_namespace=Stack.of(api).stack_name,
        metric_name=name,
    )
    return matches.metric(statistic="Sum", period=PERIOD)
