"""A provider in another region: its endpoint service must be offered to the region of the gateway."""

import copy
import json
from collections.abc import Iterator

import boto3
import pytest

from .bindings import client
from .environment import EC2, ECS, GATEWAY, REGION, access_key
from .faults import opened
from .in_process import EVERYTHING, SECURED, Synth, Team, accounts, deploy, own_domain, provider

# isort: split
# After faults.py, which makes it importable.
from common.account import open_accounts
from infra.doctor import examine

pytestmark = pytest.mark.slow
FAR, FAR_ZONES = "eu-west-1", ("euw1-az1", "euw1-az3")
REGISTRY = copy.deepcopy(SECURED)
REGISTRY["services"]["todo"]["region"] = FAR


@pytest.fixture(autouse=True)
def in_accounts() -> Iterator[None]:
    opened.cache_clear()  # it knows the answers of another test's accounts
    with accounts():
        yield
    opened.cache_clear()


def names(*offered: str) -> dict[str, str]:
    todo = provider(EC2, FAR, FAR_ZONES, offered)
    return {"DOGNAME_SERVICE_NAME": provider(ECS), "TODO_SERVICE_NAME": todo}


def test_an_endpoint_reaches_a_service_in_another_region(synth: dict[str, Synth]) -> None:
    found = names(FAR, REGION)
    assert deploy(GATEWAY, synth["global-apigw"](REGISTRY, **found)).status == "CREATE_COMPLETE"
    connections = client("ec2", EC2, FAR).describe_vpc_endpoint_connections()["VpcEndpointConnections"]
    ends = client("ec2", GATEWAY, REGION).describe_vpc_endpoints()["VpcEndpoints"]
    assert [each["VpcEndpointId"] for each in connections] == [
        each["VpcEndpointId"] for each in ends if each["ServiceName"] == found["TODO_SERVICE_NAME"]
    ]


def test_a_registry_with_everything_is_deployed_and_every_route_leads_to_its_service(synth: dict[str, Synth]) -> None:
    own_domain()
    found = {"DOGNAME_SERVICE_NAME": provider(ECS, FAR, FAR_ZONES, (FAR, REGION)), "TODO_SERVICE_NAME": provider(EC2)}
    team = Team(synth["global-apigw"], found)
    assert team.deploy(EVERYTHING).status == "CREATE_COMPLETE"  # with a look at the routes
    api = client("apigatewayv2", GATEWAY, REGION)
    [name] = api.get_domain_names()["Items"]
    assert name["MutualTlsAuthentication"]["TruststoreUri"].endswith(".pem")
    [http] = api.get_apis()["Items"]
    integrations = api.get_integrations(ApiId=http["ApiId"])["Items"]
    names = {each["TlsConfig"]["ServerNameToVerify"] for each in integrations}
    assert names == {"dogs.example.com", "todo.example.com"}


def test_the_doctor_sees_that_a_service_in_another_region_is_there(synth: dict[str, Synth]) -> None:
    deploy(GATEWAY, synth["global-apigw"](REGISTRY, **names(FAR, REGION)))
    found = examine([opened(GATEWAY)], "GET /todo", lambda url: {"issuer": SECURED["api"]["jwt"]["issuer"]})[
        "GET /todo"
    ]
    [unseen] = [hop.state for hop in found if hop.mark == "unseen"]
    assert unseen.endswith(f"; ask the team of todo in {EC2} to run make doctor in its folder")
    assert "endpoint service" not in [hop.name for hop in found if hop.fault]


def test_a_profile_shows_a_provider_in_another_region(synth: dict[str, Synth], monkeypatch: pytest.MonkeyPatch) -> None:
    found = names(FAR, REGION)
    [balancer] = client("elbv2", EC2, FAR).describe_load_balancers()["LoadBalancers"]
    service = {"NetworkLoadBalancerArns": [balancer["LoadBalancerArn"]], "AcceptanceRequired": False}
    service["SupportedRegions"] = [FAR, REGION]
    admitted = {"ServiceId": {"Ref": "Service"}, "AllowedPrincipals": [f"arn:aws:iam::{GATEWAY}:root"]}
    template = {
        "Resources": {
            "Service": {"Type": "AWS::EC2::VPCEndpointService", "Properties": service},
            "Permissions": {"Type": "AWS::EC2::VPCEndpointServicePermissions", "Properties": admitted},
        }
    }
    client("cloudformation", EC2, FAR).create_stack(StackName="ec2-provider", TemplateBody=json.dumps(template))
    ec2 = client("ec2", EC2, FAR)
    _, service = ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
    deploy(GATEWAY, synth["global-apigw"](REGISTRY, **found | {"TODO_SERVICE_NAME": service["ServiceName"]}))
    own, other = (
        boto3.Session(aws_access_key_id=access_key(account), aws_secret_access_key="unchecked")
        for account in (GATEWAY, EC2)
    )
    monkeypatch.setattr("boto3.Session", lambda profile_name: {"todos": other}[profile_name])
    accounts = [*open_accounts(own, REGION, "todos")]
    assert [each.id for each in accounts] == [GATEWAY, EC2, EC2]
    hops = examine(accounts, "GET /todo", lambda url: {"issuer": SECURED["api"]["jwt"]["issuer"]})["GET /todo"]
    [state] = [hop.state for hop in hops if hop.name == "endpoint service"]
    assert state == f"{service['ServiceId']} admits arn:aws:iam::{GATEWAY}:root"


@pytest.mark.parametrize("offered", [(), (FAR,)])
def test_fails_when_the_service_is_not_offered_to_the_region(synth: dict[str, Synth], offered: tuple[str, ...]) -> None:
    done = deploy(GATEWAY, synth["global-apigw"](REGISTRY, **names(*offered)))
    assert done.status == "ROLLBACK_COMPLETE"
    assert "InvalidServiceName" in done.reasons[0]


def test_fails_when_the_template_has_no_region_of_the_service(synth: dict[str, Synth]) -> None:
    done = deploy(GATEWAY, synth["global-apigw"](SECURED, **names(FAR, REGION)))
    assert "InvalidServiceName" in done.reasons[0]
