"""The dashboards, the saved queries and the texts of the alarms, against the templates, the log lines and the documents."""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import FOLDERS, ROOT
from tests.test_docs import anchors
from tools.template import Template

every_folder = pytest.mark.parametrize("folder", FOLDERS)
ALARM, DASHBOARD = "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard"
# The line of each service, and the format of the access log.
LINES = {
    "ecs-provider": "ecs-provider/image/accesslog.go",
    "ec2-provider": "ec2-provider/todo/responses.py",
    "global-apigw": "global-apigw/infra/access_log.json",
}
# docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
COMMANDS = "stats filter fields sort limit by as like in asc desc"
FUNCTIONS = "count sum max pct concat strcontains ispresent"


def words(value: Any) -> str:
    """A text of the template, with the logical ids of what it refers to."""
    match value:
        case {"Fn::Join": [str(separator), list(parts)]}:
            return separator.join(map(words, parts))
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), _]}:
            return name
    return str(value)


def bodies(template: Template) -> dict[str, dict[str, Any]]:
    """By name."""
    found = [each.properties for each in template.of_type(DASHBOARD)]
    return {each["DashboardName"]: json.loads(words(each["DashboardBody"])) for each in found}


def fits(body: dict[str, Any]) -> bool:
    """Within CloudWatch's limits, in a grid of 24 columns, and no widget over another one."""
    widgets = body["widgets"]
    cells = [
        (widget["x"] + right, widget["y"] + down)
        for widget in widgets
        for right in range(widget["width"])
        for down in range(widget["height"])
    ]
    metrics = sum(len(widget["properties"].get("metrics", "x")) for widget in widgets)
    # CloudWatch-Dashboard-Body-Structure.html; cloudwatch_limits.html
    is_small = len(widgets) <= 500 and metrics <= 2500 and len(json.dumps(body)) < 1_000_000
    return is_small and len({*cells}) == len(cells) and max(x for x, _ in cells) < 24


@every_folder
def test_a_dashboard_fits(templates: dict[str, Template], folder: str) -> None:
    found = bodies(templates[folder])
    assert found and all(map(fits, found.values()))


def test_a_widget_over_another_one_would_be_found(templates: dict[str, Template]) -> None:
    [body] = bodies(templates["ecs-provider"]).values()
    body["widgets"][-1]["x"] -= 1
    assert not fits(body)


@every_folder
def test_all_that_a_dashboard_names_is_in_the_stack(templates: dict[str, Template], folder: str) -> None:
    resources = {resource.logical_id for resource in templates[folder]}
    for body in bodies(templates[folder]).values():
        for properties in (widget["properties"] for widget in body["widgets"]):
            logs = re.findall("SOURCE '(.*?)'", properties.get("query", ""))
            values = [value for metric in properties.get("metrics", []) for value in metric[3:-1:2]]
            operations = {"GetItem", "PutItem", "Scan"}
            assert {*logs, *values, *properties.get("alarms", [])} - resources <= operations, properties["title"]


@every_folder
def test_an_alarm_leads_to_its_graph_and_to_its_line_in_the_runbook(
    templates: dict[str, Template], folder: str
) -> None:
    dashboards = bodies(templates[folder])
    for alarm in templates[folder].of_type(ALARM):
        description = alarm.properties["AlarmDescription"]
        assert len(description) <= 1024  # API_PutMetricAlarm.html
        _, runbook, graph = description.split("\n")
        [(document, heading, name)] = re.findall(r'^runbook: (\S+), "(.+)", (\S+)$', runbook)
        assert heading.lower().replace(" ", "-") in anchors(ROOT / document)
        section = (ROOT / document).read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
        assert re.search(rf"^\| [^|]*\b{name}\b", section, re.MULTILINE), name
        shown = dashboards[graph.rpartition("/")[2]]["widgets"]
        assert [alarm.logical_id] in [each["properties"].get("annotations", {}).get("alarms") for each in shown]


def queries(folder: str) -> Iterator[tuple[str, str]]:
    plan = tomllib.loads((ROOT / folder / "infra/dashboard.toml").read_text())
    yield from plan["queries"].items()
    if "budgets" in plan:
        yield "budgets", plan["budgets"]["query"].format(routes='"GET /"', allowed=0.001)


@pytest.mark.parametrize(
    ("folder", "name", "query"), [(folder, *query) for folder in FOLDERS for query in queries(folder)]
)
def test_the_log_has_the_fields_of_a_query(folder: str, name: str, query: str) -> None:
    fields = {*re.findall(r'"(\w+)":', (ROOT / LINES[folder]).read_text())}
    assert "requestId" in fields
    plain = re.sub(r'"[^"]*"|/\^.*?/', "", query)
    own = {*re.findall(r"\bas (\w+)", plain)}
    assert {*re.findall(r"[A-Za-z]\w*", plain)} - own - {*COMMANDS.split(), *FUNCTIONS.split()} <= fields
