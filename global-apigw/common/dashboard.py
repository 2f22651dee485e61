"""A team's dashboard and saved queries: infra/dashboard.toml says what is on it."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk.aws_elasticloadbalancingv2 import NetworkLoadBalancer
from aws_cdk.aws_logs import CfnQueryDefinition, ILogGroup

from common.alarms import GRAPH, WIDTH, Alarms, dashboard_name

TABLE = 12  # of the grid's 24
PLAN = Path(__file__).parent.parent / "infra/dashboard.toml"


def text(markdown: str) -> cloudwatch.IWidget:
    return cloudwatch.TextWidget(markdown=markdown, width=WIDTH, height=2)


def table(title: str, log: ILogGroup, query: str, **more: Any) -> cloudwatch.IWidget:
    """The rows of a Logs Insights query. It costs $0.005 for each GB of log when somebody looks, and nothing else."""
    names = [log.log_group_name]
    return cloudwatch.LogQueryWidget(title=title, log_group_names=names, query_string=query, width=TABLE, **more)


def add_dashboard(stack: Stack, alarms: Alarms, nlb: NetworkLoadBalancer, log: ILogGroup | None, **values: str) -> None:
    """The plan's texts name the `values` in braces. Without a `log` there are no queries."""
    plan = tomllib.loads(PLAN.read_text())
    values["nlb"] = nlb.load_balancer_full_name
    graphs = [_graph(title, values, **own) for title, own in plan["graphs"].items()]
    rows = [[text(plan["text"].format(**values))], [*alarms.widgets(), *graphs]]
    rows += [_saved_queries(stack, log, plan["queries"])] if log else []
    # The page shows the last hours, unless the reader chooses others.
    own = {"dashboard_name": dashboard_name(stack), "default_interval": Duration.hours(3)}
    cloudwatch.Dashboard(stack, "Dashboard", widgets=rows, **own)


def _graph(title: str, values: Mapping[str, str], *, lines: Any, dimensions: Any, **shared: Any) -> cloudwatch.IWidget:
    """A line has arguments of cloudwatch.Metric of its own; the dimensions may name them too."""
    metrics = []
    for line in lines:
        own = {key: value.format(**values, **line) for key, value in dimensions.items()}
        metrics.append(cloudwatch.Metric(dimensions_map=own, **shared, **line))
    return cloudwatch.GraphWidget(title=title, left=metrics, width=GRAPH)


def _saved_queries(stack: Stack, log: ILogGroup, queries: Mapping[str, str]) -> list[cloudwatch.IWidget]:
    """In a folder with the name of the stack. Each query is also a table."""
    for name, query in queries.items():
        own = {"name": f"{stack.stack_name}/{name}", "log_group_names": [log.log_group_name]}
        CfnQueryDefinition(stack, f"Query {name}", query_string=query, **own)
    return [table(name, log, query) for name, query in queries.items()]
