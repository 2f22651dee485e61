"""The synthesized template, one fact a test; each name or comment says what goes wrong without it."""

from pathlib import Path

import pytest
from aws_cdk import Stack
from aws_cdk.assertions import Match, Template

from app import build
from tests.conftest import ENVIRON


@pytest.mark.parametrize(
    "type", ["InternetGateway", "NatGateway", "EIP", "EgressOnlyInternetGateway", "VPCPeeringConnection"]
)
def test_nothing_reaches_the_internet(template: Template, type: str) -> None:
    template.resource_count_is(f"AWS::EC2::{type}", 0)


def test_subnets_lie_in_zones_by_id_because_names_differ_between_accounts(template: Template) -> None:
    subnets = template.find_resources("AWS::EC2::Subnet").values()
    zones = sorted(subnet["Properties"].get("AvailabilityZoneId") for subnet in subnets)
    assert zones == ["usw2-az1", "usw2-az2"]
    assert not any("AvailabilityZone" in subnet["Properties"] for subnet in subnets)


def test_no_security_group_admits_an_address_range(template: Template) -> None:
    for group in template.find_resources("AWS::EC2::SecurityGroup").values():
        assert "SecurityGroupIngress" not in group["Properties"]
    for rule in template.find_resources("AWS::EC2::SecurityGroupIngress").values():
        assert "SourceSecurityGroupId" in rule["Properties"]


def test_only_privatelink_reaches_the_load_balancer(template: Template) -> None:
    template.has_resource_properties(
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        {
            "Scheme": "internal",
            "Type": "network",
            "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic": "off",
            "LoadBalancerAttributes": Match.array_with([{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}]),
        },
    )


def test_the_endpoint_service_admits_the_gateway_account_alone(template: Template) -> None:
    template.has_resource_properties("AWS::EC2::VPCEndpointService", {"AcceptanceRequired": False})
    template.has_resource_properties(
        "AWS::EC2::VPCEndpointServicePermissions", {"AllowedPrincipals": ["arn:aws:iam::111111111111:root"]}
    )


def test_health_checks_ask_the_service_not_only_its_port(template: Template) -> None:
    template.has_resource_properties(
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        {"Port": 8080, "Protocol": "TCP", "HealthCheckProtocol": "HTTP", "HealthCheckPath": "/healthz"},
    )


def test_two_tasks_are_replaced_without_a_gap_and_a_bad_deployment_rolls_back(template: Template) -> None:
    template.has_resource_properties(
        "AWS::ECS::Service",
        {
            "DeploymentConfiguration": {
                "MinimumHealthyPercent": 100,
                "MaximumPercent": 200,
                "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
            },
            "NetworkConfiguration": {"AwsvpcConfiguration": Match.object_like({"AssignPublicIp": "DISABLED"})},
        },
    )


def test_two_tasks_run_at_least_and_scaling_keeps_its_count_over_updates(template: Template) -> None:
    template.has_resource_properties("AWS::ECS::Service", {"DesiredCount": Match.absent()})
    template.has_resource_properties(
        "AWS::ApplicationAutoScaling::ScalableTarget", {"MinCapacity": 2, "MaxCapacity": 6}
    )
    template.resource_count_is("AWS::ApplicationAutoScaling::ScalingPolicy", 1)


def test_an_alarm_speaks_when_the_next_loss_would_be_an_outage(template: Template) -> None:
    template.has_resource_properties(
        "AWS::CloudWatch::Alarm",
        {
            "MetricName": "HealthyHostCount",
            "Statistic": "Maximum",
            "Threshold": 2,
            "TreatMissingData": "breaching",
            "AlarmActions": Match.absent(),
        },
    )


def test_alarms_go_to_the_topic_that_is_set(tmp_path: Path) -> None:
    topic = "arn:aws:sns:us-west-2:222222222222:alarms"
    stack = build({**ENVIRON, "ALARM_TOPIC_ARN": topic}, outdir=str(tmp_path)).node.find_child("ecs-provider")
    assert isinstance(stack, Stack)
    Template.from_stack(stack).all_resources_properties("AWS::CloudWatch::Alarm", {"AlarmActions": [topic]})


def test_the_container_can_change_nothing(template: Template) -> None:
    template.has_resource_properties(
        "AWS::ECS::TaskDefinition",
        {
            "RuntimePlatform": {"CpuArchitecture": "ARM64", "OperatingSystemFamily": "LINUX"},
            "ContainerDefinitions": [
                Match.object_like(
                    {
                        "ReadonlyRootFilesystem": True,
                        "User": "65532:65532",
                        "LinuxParameters": {"Capabilities": {"Drop": ["ALL"]}},
                        "StopTimeout": 120,
                    }
                )
            ],
        },
    )


def test_the_tag_names_the_image(template: Template) -> None:
    [task] = template.find_resources("AWS::ECS::TaskDefinition").values()
    [container] = task["Properties"]["ContainerDefinitions"]
    assert container["Image"]["Fn::Join"][1][-1].endswith("/dog-names:001")


def test_image_layers_are_all_that_passes_the_s3_endpoint(template: Template) -> None:
    template.has_resource_properties(
        "AWS::EC2::VPCEndpoint",
        {
            "VpcEndpointType": "Gateway",
            "PolicyDocument": Match.object_like(
                {
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"AWS": "*"},
                            "Action": "s3:GetObject",
                            "Resource": "arn:aws:s3:::prod-us-west-2-starport-layer-bucket/*",
                        }
                    ]
                }
            ),
        },
    )


def test_the_task_role_may_do_nothing(template: Template) -> None:
    roles = template.find_resources("AWS::IAM::Role")
    policies = template.find_resources("AWS::IAM::Policy").values()
    [task_role] = [name for name in roles if "TaskRole" in name]
    assert not roles[task_role]["Properties"].keys() & {"Policies", "ManagedPolicyArns"}
    assert {"Ref": task_role} not in [role for policy in policies for role in policy["Properties"]["Roles"]]


def test_what_other_teams_hold_on_to_keeps_its_logical_id(template: Template) -> None:
    # A changed id means a replaced resource: the gateway's endpoint would point at nothing.
    assert list(template.find_resources("AWS::EC2::VPCEndpointService")) == ["EndpointServiceCBC7E217"]
    assert list(template.find_resources("AWS::ElasticLoadBalancingV2::LoadBalancer")) == ["EndpointServiceNlb33FC43C5"]


def test_the_output_has_the_name_that_the_gateway_team_was_told(template: Template) -> None:
    template.has_output("ecsvpcendpointservicename", {})
