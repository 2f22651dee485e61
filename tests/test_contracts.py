"""The three folders share no code: their templates, contracts, registry and constants must agree."""

import re
import tomllib
from math import ceil
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tools.template import Template

SERVICES = {"ecs-provider": "dog-names", "ec2-provider": "todo"}
REGISTRY: dict[str, Any] = tomllib.loads((ROOT / "global-apigw/services.toml").read_text())["services"]
OPENAPI: dict[str, Any] = {name: yaml.safe_load((ROOT / name / "openapi.yaml").read_text()) for name in SERVICES}
each_provider = pytest.mark.parametrize("folder", SERVICES)


def number(folder: str, path: str, pattern: str) -> float:
    [found] = re.findall(pattern, (ROOT / folder / path).read_text())
    return float(found)


# Seconds, by folder.
DEADLINE = {
    "ecs-provider": number("ecs-provider", "image/main.go", r"answerWithin = (\d+) \* time.Second"),
    "ec2-provider": number("ec2-provider", "todo/store.py", r"DEADLINE_SECONDS = ([\d.]+)"),
}
IDLE = {
    "ecs-provider": number("ecs-provider", "image/main.go", r"idleTimeout = (\d+) \* time.Second"),
    "ec2-provider": number("ec2-provider", "todo/gunicorn.conf.py", r"keepalive = (\d+)"),
}
DRAIN = {
    "ecs-provider": number("ecs-provider", "image/main.go", r"drainFor = (\d+) \* time.Second"),
    "ec2-provider": number("ec2-provider", "todo/settings.py", r'drain_seconds: .*default="(\d+)"'),
}


@each_provider
def test_the_api_has_every_public_route_of_the_service_and_no_other(folder: str) -> None:
    public = {
        f"{method.upper()} {path}"
        for path, operations in OPENAPI[folder]["paths"].items()
        for method, operation in operations.items()
        if method != "parameters" and not operation.get("x-internal")
    }
    assert {route["key"] for route in REGISTRY[SERVICES[folder]]["routes"]} == public


@each_provider
def test_the_gateway_connects_to_the_provider_s_port_and_checks_its_health(
    templates: dict[str, Template], folder: str
) -> None:
    [listener] = templates[folder].of_type("AWS::ElasticLoadBalancingV2::Listener")
    [group] = templates[folder].of_type("AWS::ElasticLoadBalancingV2::TargetGroup")
    service = REGISTRY[SERVICES[folder]]
    assert listener.properties["Port"] == service["endpoint_port"]
    assert group.properties["Port"] == 8080  # where the services listen
    ports = r"PORT, TLS_PORT = 8080, (\d+)"
    assert number(folder, "common/endpoint_service.py", ports) == number("global-apigw", "infra/conflicts.py", ports)
    assert group.properties["HealthCheckPath"] == service["health_path"]
    # No client reaches the health check: it is internal, and internal paths have no route.
    assert OPENAPI[folder]["paths"][service["health_path"]]["get"]["x-internal"]


@each_provider
def test_timeouts_line_up(templates: dict[str, Template], folder: str) -> None:
    assert DEADLINE[folder] < REGISTRY[SERVICES[folder]]["timeout_seconds"]
    # Else a request meets a connection that the service is closing, and the client sees a 503. An NLB keeps it for 350 s.
    assert IDLE[folder] > 350
    if folder == "ec2-provider":
        stop = number(folder, "todo/todo.service", r"TimeoutStopSec=(\d+)")
    else:
        [task] = templates[folder].of_type("AWS::ECS::TaskDefinition")
        [stop] = [container["StopTimeout"] for container in task.properties["ContainerDefinitions"]]
    # Fargate kills after 120 s at most. After a drain the longest request may still run; 4 s are for gunicorn's parent.
    assert 120 >= stop > DRAIN[folder] + DEADLINE[folder] + 4
    assert DRAIN[folder] >= 100


@pytest.mark.parametrize("folder", [*SERVICES, "global-apigw"])
def test_connections_outlive_the_health_of_their_target(templates: dict[str, Template], folder: str) -> None:
    for group in templates[folder].of_type("AWS::ElasticLoadBalancingV2::TargetGroup"):
        attributes = {each["Key"]: each["Value"] for each in group.properties["TargetGroupAttributes"]}
        # The NLB goes on opening connections to a deregistered target for 120 s.
        assert int(attributes["deregistration_delay.timeout_seconds"]) >= 120
        # A target that drains fails its health checks, and so may an endpoint in front of it.
        unhealthy = "target_health_state.unhealthy"
        assert attributes[f"{unhealthy}.connection_termination.enabled"] == "false"
        assert int(attributes[f"{unhealthy}.draining_interval_seconds"]) >= max(DRAIN.values())


@pytest.mark.parametrize("registry", ["services.toml", "examples/secured.toml"])
def test_throttled_requests_saturate_no_partition_of_the_table(registry: str) -> None:
    # In a route's worst second, its bucket is full and is refilled.
    text = (ROOT / "global-apigw" / registry).read_text()
    default = (parsed := tomllib.loads(text))["api"]["throttle"]
    throttles = {each["key"]: each.get("throttle", default) for each in parsed["services"]["todo"]["routes"]}
    requests = {key: throttle["rate"] + throttle["burst"] for key, throttle in throttles.items()}
    contract = OPENAPI["ec2-provider"]
    [limit] = [each["schema"] for each in contract["paths"]["/todo"]["get"]["parameters"] if each["name"] == "limit"]
    # A character has at most 4 bytes in UTF-8; the names of the attributes, an id and a token count too.
    data = contract["components"]["schemas"]["NewTodo"]["properties"]["data"]["maxLength"]
    item = 4 * data + len("id" + "data" + "token") + 8 + 16
    # A consistent read takes a unit for 4 KB, a write for 1 KB; a scan ends with the item that exceeds 1 MB.
    page, get, create = (ceil(size / 4096) for size in (min(limit["maximum"] * item, 2**20 + item), item, 4 * item))
    reads = requests["GET /todo"] * page + requests["GET /todo/{todoId}"] * get
    assert reads <= 3000 and requests["POST /todo"] * create <= 1000, (reads, page, get, create)
    assert f"{page} read units" in text and f"{reads:,} of the 3,000" in text
    assert ceil(limit["default"] * item / 4096) < page / 3  # of a page whose size nobody asked for


def test_the_gateway_and_its_providers_share_two_zones(templates: dict[str, Template]) -> None:
    # An endpoint gets an interface only in a zone that the endpoint service has too. A zone has another name in each account.
    for template in templates.values():
        subnets = [subnet.properties for subnet in template.of_type("AWS::EC2::Subnet")]
        assert sorted(subnet["AvailabilityZoneId"] for subnet in subnets) == ["usw2-az1", "usw2-az2"]
        assert not any("AvailabilityZone" in subnet for subnet in subnets)
