"""The error budget of each service: the part of a month's answers that may be 5xx."""

import tomllib

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk.aws_logs import FieldIndexPolicy, ILogGroup
from constructs import Construct

from common.alarms import dashboard_name
from common.dashboard import PLAN, table, text
from infra.registry import Registry

BUDGETS = "-budgets"
MONTH = Duration.days(30)  # as long as the access log is kept
# With the index, a query reads, and costs, the lines of its own routes alone:
# docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatchLogs-Field-Indexing.html
INDEX = FieldIndexPolicy(fields=["route"])


def add_budgets(scope: Construct, registry: Registry, access_log: ILogGroup) -> None:
    plan, tables = tomllib.loads(PLAN.read_text())["budgets"], []
    for name, service in sorted(registry.services.items()):
        objective = service.objective or registry.api.objective
        title = plan["title"].format(service=name, objective=objective)
        if routes := ", ".join(sorted(f'"{route.key}"' for route in service.routes)):
            query = plan["query"].format(routes=routes, allowed=1 - objective / 100)
            tables.append(table(title, access_log, query, height=4))
    own = {"dashboard_name": dashboard_name(scope, BUDGETS), "default_interval": MONTH}
    cloudwatch.Dashboard(scope, "Budgets", widgets=[[text(plan["text"])], tables], **own)
