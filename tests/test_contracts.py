"""What must agree between the three folders, which share no code: read from templates, contracts and sources."""

import re
import tomllib
from math import ceil
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tools.template import Template

PROVIDERS = {"ecs-provider": "dog-names", "ec2-provider": "todo"}
REGISTRY: dict[str, Any] = tomllib.loads((ROOT / "global-apigw/services.toml").read_text())["services"]
OPENAPI: dict[str, Any] = {name: yaml.safe_load((ROOT / name / "openapi.yaml").read_text()) for name in PROVIDERS}
GO = (ROOT / "ecs-provider/image/main.go").read_text()
STORE = (ROOT / "ec2-provider/todo/store.py").read_text()
GUNICORN = (ROOT / "ec2-provider/todo/gunicorn.conf.py").read_text()


def number(pattern: str, text: str) -> float:
    match = re.search(pattern, text)
    assert match, f"{pattern} is not there any more"
    return float(match.group(1))


@pytest.mark.parametrize("folder", PROVIDERS)
def test_the_api_has_every_public_route_of_the_service_and_no_other(folder: str) -> None:
    public = {
        f"{method.upper()} {path}"
        for path, operations in OPENAPI[folder]["paths"].items()
        for method, operation in operations.items()
        if method != "parameters" and not operation.get("x-internal")
    }
    assert {route["key"] for route in REGISTRY[PROVIDERS[folder]]["routes"]} == public


@pytest.mark.parametrize("folder", PROVIDERS)
def test_both_load_balancers_check_the_path_that_the_service_answers(
    templates: dict[str, Template], folder: str
) -> None:
    [group] = templates[folder].of_type("AWS::ElasticLoadBalancingV2::TargetGroup")
    path = REGISTRY[PROVIDERS[folder]]["health_path"]
    assert group.properties["HealthCheckPath"] == path
    assert OPENAPI[folder]["paths"][path]["get"]["x-internal"]
    # A health check that clients could reach would tell them how to load the service.
    assert path not in str(REGISTRY[PROVIDERS[folder]]["routes"])


@pytest.mark.parametrize("folder", PROVIDERS)
def test_the_gateway_connects_to_the_port_where_the_provider_listens(
    templates: dict[str, Template], folder: str
) -> None:
    [listener] = templates[folder].of_type("AWS::ElasticLoadBalancingV2::Listener")
    [group] = templates[folder].of_type("AWS::ElasticLoadBalancingV2::TargetGroup")
    assert listener.properties["Port"] == REGISTRY[PROVIDERS[folder]]["endpoint_port"]
    assert group.properties["Port"] == 8080


def test_the_container_listens_where_the_load_balancer_sends(templates: dict[str, Template]) -> None:
    [task] = templates["ecs-provider"].of_type("AWS::ECS::TaskDefinition")
    [container] = task.properties["ContainerDefinitions"]
    assert [mapping["ContainerPort"] for mapping in container["PortMappings"]] == [8080]
    assert 'getenv("PORT"), "8080"' in GO
    assert "EXPOSE 8080" in (ROOT / "ecs-provider/image/Dockerfile").read_text()


def test_outputs_and_variables_have_the_names_that_teams_were_told(templates: dict[str, Template]) -> None:
    assert {name: sorted(template.outputs) for name, template in templates.items()} == {
        "ecs-provider": ["ecsvpcendpointservicename"],
        "ec2-provider": ["ec2vpceendpointservicename", "loadbalancer", "tablename"],
        "global-apigw": ["HttpApiEndpoint"],
    }
    assert [REGISTRY[name]["endpoint_service"] for name in PROVIDERS.values()] == [
        "DOGNAME_SERVICE_NAME",
        "TODO_SERVICE_NAME",
    ]


@pytest.mark.parametrize("folder", PROVIDERS)
def test_the_provider_admits_the_account_that_the_gateway_is_deployed_to(
    templates: dict[str, Template], folder: str
) -> None:
    [permissions] = templates[folder].of_type("AWS::EC2::VPCEndpointServicePermissions")
    gateway = (ROOT / "global-apigw/Makefile").read_text()
    account = int(number(r"LOCAL_SETTINGS := AWS_ACCOUNT=(\d{12})", gateway))
    assert permissions.properties["AllowedPrincipals"] == [f"arn:aws:iam::{account}:root"]


@pytest.mark.parametrize(
    ("folder", "answer_within"),
    [
        ("ecs-provider", number(r"answerWithin = (\d+) \* time.Second", GO)),
        ("ec2-provider", number(r"DEADLINE_SECONDS = ([\d.]+)", STORE)),
    ],
)
def test_the_service_gives_up_before_the_gateway_does(folder: str, answer_within: float) -> None:
    assert answer_within == 8
    assert answer_within < REGISTRY[PROVIDERS[folder]]["timeout_seconds"] == 10


@pytest.mark.parametrize(
    "idle", [number(r"idleTimeout = (\d+) \* time.Second", GO), number(r"keepalive = (\d+)", GUNICORN)]
)
def test_services_keep_idle_connections_longer_than_an_nlb(idle: float) -> None:
    # Or a request meets a connection that is just closing, and the client sees a 503.
    assert idle > 350


DRAIN = {
    "ecs-provider": number(r"drainFor = (\d+) \* time.Second", GO),
    "ec2-provider": number(r'"DRAIN_SECONDS": \("(\d+)"', (ROOT / "ec2-provider/todo/settings.py").read_text()),
}


def stop_timeout(folder: str, templates: dict[str, Template]) -> float:
    """Seconds from SIGTERM to SIGKILL."""
    if folder == "ec2-provider":
        return number(r"TimeoutStopSec=(\d+)", (ROOT / "ec2-provider/todo/todo.service").read_text())
    [task] = templates[folder].of_type("AWS::ECS::TaskDefinition")
    [container] = task.properties["ContainerDefinitions"]
    return float(container["StopTimeout"])


@pytest.mark.parametrize("folder", PROVIDERS)
def test_a_service_that_is_stopped_has_time_to_drain(templates: dict[str, Template], folder: str) -> None:
    # Fargate kills after 120 s at most; a drain is followed by the longest request, and 4 s are for gunicorn's parent.
    assert 120 >= stop_timeout(folder, templates) > DRAIN[folder] + 8 + 4
    assert DRAIN[folder] >= 100


@pytest.mark.parametrize("folder", [*PROVIDERS, "global-apigw"])
def test_connections_outlive_the_health_of_their_target(templates: dict[str, Template], folder: str) -> None:
    for group in templates[folder].of_type("AWS::ElasticLoadBalancingV2::TargetGroup"):
        attributes = {each["Key"]: each["Value"] for each in group.properties["TargetGroupAttributes"]}
        # The NLB's guide recommends no less; for so long it goes on opening connections to a deregistered target.
        assert int(attributes["deregistration_delay.timeout_seconds"]) >= 120
        # A target that drains fails its health checks, and so may an endpoint that it stands behind.
        unhealthy = "target_health_state.unhealthy"
        assert attributes[f"{unhealthy}.connection_termination.enabled"] == "false"
        assert int(attributes[f"{unhealthy}.draining_interval_seconds"]) >= max(DRAIN.values())


@pytest.mark.parametrize("registry", ["services.toml", "examples/secured.toml"])
def test_what_the_throttles_let_through_saturates_no_partition_of_the_table(registry: str) -> None:
    # A bucket is full, and refilled, in the worst second of a route.
    text = (ROOT / "global-apigw" / registry).read_text()
    default = (parsed := tomllib.loads(text))["api"]["throttle"]
    throttles = {each["key"]: each.get("throttle", default) for each in parsed["services"]["todo"]["routes"]}
    requests = {key: throttle["rate"] + throttle["burst"] for key, throttle in throttles.items()}
    contract = OPENAPI["ec2-provider"]
    [limit] = [each["schema"] for each in contract["paths"]["/todo"]["get"]["parameters"] if each["name"] == "limit"]
    # At most 4 bytes a character in UTF-8; the names of the attributes, an id and a token count too.
    data = contract["components"]["schemas"]["NewTodo"]["properties"]["data"]["maxLength"]
    item = 4 * data + len("id" + "data" + "token") + 8 + 16
    # Consistent reads take a unit for 4 KB, writes for 1 KB; a scan ends with the item that exceeds 1 MB.
    page, get, create = (ceil(size / 4096) for size in (min(limit["maximum"] * item, 2**20 + item), item, 4 * item))
    reads = requests["GET /todo"] * page + requests["GET /todo/{todoId}"] * get
    assert reads <= 3000 and requests["POST /todo"] * create <= 1000, (reads, page, get, create)
    assert f"{page} read units" in text and f"{reads:,} of the 3,000" in text
    assert ceil(limit["default"] * item / 4096) < page / 3  # of a page whose size nobody asked for


def test_the_gateway_and_its_providers_share_two_zones(templates: dict[str, Template]) -> None:
    # An endpoint gets an interface only in a zone that the endpoint service has too.
    zones = {
        name: sorted(subnet.properties["AvailabilityZoneId"] for subnet in template.of_type("AWS::EC2::Subnet"))
        for name, template in templates.items()
    }
    assert zones["ecs-provider"] == zones["ec2-provider"] == zones["global-apigw"]
    assert len(set(zones["global-apigw"])) == 2
