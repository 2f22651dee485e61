"""The synthesized template, one fact a test; each name or comment says what goes wrong without it."""

from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk.assertions import Match, Template

from app import build
from common.settings import SettingsError
from infra import settings
from tests.conftest import ENVIRON

CONTAINER = {
    "ReadonlyRootFilesystem": True,
    "User": "65532:65532",
    "LinuxParameters": {"Capabilities": {"Drop": ["ALL"]}},
    "StopTimeout": 120,
    "PortMappings": [Match.object_like({"ContainerPort": 8080})],
}
DEPLOYMENT = {
    "MinimumHealthyPercent": 100,
    "MaximumPercent": 200,
    "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
}
LAYERS = {
    "Effect": "Allow",
    "Principal": {"AWS": "*"},
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::prod-us-west-2-starport-layer-bucket/*",
}
NLB, ALARM, SERVICE = "AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::CloudWatch::Alarm", "AWS::ECS::Service"
FACTS: dict[str, tuple[str, dict[str, Any]]] = {
    "the load balancer is internal": (NLB, {"Scheme": "internal", "Type": "network"}),
    "only PrivateLink reaches it": (NLB, {"EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic": "off"}),
    "it uses the targets of both zones": (
        NLB,
        {"LoadBalancerAttributes": Match.array_with([{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}])},
    ),
    "without SUPPORTED_REGIONS only this region connects": (
        "AWS::EC2::VPCEndpointService",
        {"SupportedRegions": Match.absent()},
    ),
    "connections need no acceptance": ("AWS::EC2::VPCEndpointService", {"AcceptanceRequired": False}),
    "the endpoint service admits the gateway's account alone": (
        "AWS::EC2::VPCEndpointServicePermissions",
        {"AllowedPrincipals": ["arn:aws:iam::111111111111:root"]},
    ),
    "health checks ask the service, not only its port": (
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        {"Port": 8080, "Protocol": "TCP", "HealthCheckProtocol": "HTTP", "HealthCheckPath": "/healthz"},
    ),
    "tasks are replaced without a gap, a bad deployment rolls back": (SERVICE, {"DeploymentConfiguration": DEPLOYMENT}),
    "tasks have no public address": (
        SERVICE,
        {"NetworkConfiguration": {"AwsvpcConfiguration": Match.object_like({"AssignPublicIp": "DISABLED"})}},
    ),
    "an update keeps the count that scaling has set": (SERVICE, {"DesiredCount": Match.absent()}),
    "two tasks run at least": ("AWS::ApplicationAutoScaling::ScalableTarget", {"MinCapacity": 2, "MaxCapacity": 6}),
    "an alarm tells when the next loss would be an outage": (
        ALARM,
        {"MetricName": "HealthyHostCount", "Statistic": "Maximum", "Threshold": 2, "TreatMissingData": "breaching"},
    ),
    "without a topic an alarm notifies nobody": (ALARM, {"AlarmActions": Match.absent()}),
    "tasks run on Graviton": (
        "AWS::ECS::TaskDefinition",
        {"RuntimePlatform": {"CpuArchitecture": "ARM64", "OperatingSystemFamily": "LINUX"}},
    ),
    "the container can change nothing": (
        "AWS::ECS::TaskDefinition",
        {"ContainerDefinitions": [Match.object_like(CONTAINER)]},
    ),
    "image layers are all that passes the S3 endpoint": (
        "AWS::EC2::VPCEndpoint",
        {"VpcEndpointType": "Gateway", "PolicyDocument": Match.object_like({"Statement": [LAYERS]})},
    ),
}


@pytest.mark.parametrize("fact", FACTS)
def test_the_template_says_that(template: Template, fact: str) -> None:
    template.has_resource_properties(*FACTS[fact])


def test_settings_change_the_template(tmp_path: Path) -> None:
    topic = "arn:aws:sns:us-west-2:222222222222:alarms"
    changed = {"ALARM_TOPIC_ARN": topic, "ACCEPTANCE": "manual"}
    stack = build({**ENVIRON, **changed}, outdir=str(tmp_path)).node.find_child(settings.EcsSettings.stack)
    assert isinstance(stack, Stack)
    template = Template.from_stack(stack)
    template.all_resources_properties(ALARM, {"AlarmActions": [topic]})
    template.has_resource_properties("AWS::EC2::VPCEndpointService", {"AcceptanceRequired": True})


def test_the_tag_names_the_image(template: Template) -> None:
    [task] = template.find_resources("AWS::ECS::TaskDefinition").values()
    [container] = task["Properties"]["ContainerDefinitions"]
    assert container["Image"]["Fn::Join"][1][-1].endswith(f"/{settings.SERVICE}:001")


def test_the_task_role_may_do_nothing(template: Template) -> None:
    roles = template.find_resources("AWS::IAM::Role")
    policies = template.find_resources("AWS::IAM::Policy").values()
    [task_role] = [name for name in roles if "TaskRole" in name]
    assert not roles[task_role]["Properties"].keys() & {"Policies", "ManagedPolicyArns"}
    assert {"Ref": task_role} not in [role for policy in policies for role in policy["Properties"]["Roles"]]


def test_with_a_certificate_the_load_balancer_takes_tls_beside_plain_tcp(template: Template, tmp_path: Path) -> None:
    arn = "arn:aws:acm:us-west-2:222222222222:certificate/0"
    stack = build({**ENVIRON, "CERTIFICATE_ARN": arn}, outdir=str(tmp_path)).node.find_child(settings.EcsSettings.stack)
    assert isinstance(stack, Stack)
    listeners = Template.from_stack(stack).find_resources("AWS::ElasticLoadBalancingV2::Listener")
    [plain] = template.find_resources("AWS::ElasticLoadBalancingV2::Listener").items()
    assert plain in listeners.items() and plain[1]["Properties"]["Port"] == 8080
    [tls] = [each["Properties"] for each in listeners.values() if each["Properties"]["Protocol"] == "TLS"]
    assert (tls["Port"], tls["Certificates"]) == (8443, [{"CertificateArn": arn}])
    assert tls["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"  # TLS 1.2 and 1.3
    # Consumers move without an outage: both listeners have the same targets.
    assert tls["DefaultActions"] == plain[1]["Properties"]["DefaultActions"]


@pytest.mark.parametrize(
    ("type", "id"), [("AWS::EC2::VPCEndpointService", "EndpointServiceCBC7E217"), (NLB, "EndpointServiceNlb33FC43C5")]
)
def test_a_resource_that_other_teams_use_keeps_its_logical_id(template: Template, type: str, id: str) -> None:
    # A changed id means a replaced resource: the gateway's endpoint would lead nowhere.
    assert list(template.find_resources(type)) == [id]


def test_the_output_has_the_name_that_the_gateway_team_was_told(template: Template) -> None:
    template.has_output("ecsvpcendpointservicename", {})


def test_fails_when_a_zone_takes_no_part_in_other_regions() -> None:
    seoul = {**ENVIRON, "AWS_REGION": "ap-northeast-2"}
    settings.EcsSettings.read(seoul)
    with pytest.raises(SettingsError, match="connects no other region to zone apne2-az2; choose two others"):
        settings.EcsSettings.read({**seoul, "SUPPORTED_REGIONS": "us-west-2"})
