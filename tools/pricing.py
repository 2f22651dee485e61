"""What the resources of a template are billed for while nobody uses them; a type it does not know is an error."""

import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from tools.resources import CATALOG
from tools.template import Properties, Resource, Template

PRICES: dict[str, Any] = tomllib.loads((Path(__file__).parent / "prices.toml").read_text(), parse_float=Decimal)
# The lines of the table.
NAT, BALANCERS, COMPUTE = "NAT gateways and their addresses", "load balancers", "compute and disks"
TO_PROVIDERS, TO_AWS = "endpoints to providers", "endpoints to AWS services"
ALARMS, DNS, METRICS = "alarms", "DNS firewalls", "metrics made of logs"

Item = tuple[str, str, Any]  # line, name of the price, quantity


class CostError(Exception):
    """Something that has no price here; says what to add."""


def billed(template: Template) -> Iterator[Item]:
    """Every item of every resource."""
    for resource in template:
        yield from _items(template, resource)


def _items(template: Template, resource: Resource) -> Iterator[Item]:
    properties = template.read(resource)
    match resource.type:
        case "AWS::EC2::NatGateway" | "AWS::EC2::EIP" as type:
            yield NAT, {"AWS::EC2::NatGateway": "nat-gateway", "AWS::EC2::EIP": "public-ipv4"}[type], 1
        case "AWS::ElasticLoadBalancingV2::LoadBalancer":
            yield BALANCERS, properties.take("Type", "application"), 1
        case "AWS::EC2::VPCEndpoint":
            yield from _endpoint(properties)
        case "AWS::Route53Resolver::FirewallDomainList":
            yield DNS, "dns-firewall-domain", len(properties.take("Domains"))
        case "AWS::ECS::Service":
            yield from _tasks(template, resource)
        case "AWS::AutoScaling::AutoScalingGroup":
            yield from _instances(template, resource)
        case "AWS::CloudWatch::Alarm":
            metrics = sum("MetricStat" in metric for metric in properties.take("Metrics", []))
            yield ALARMS, "alarm-metric", metrics or 1
        case "AWS::Logs::MetricFilter":
            yield METRICS, "custom-metric", len(properties.take("MetricTransformations"))
        case other if not CATALOG.get(other, {}).get("free"):
            raise CostError(
                f"{properties.where}: what does it cost while idle? "
                "Price it in tools/pricing.py, or say free = true in tools/resources.toml"
            )


def _endpoint(properties: Properties) -> Iterator[Item]:
    """An interface endpoint, in each of its zones; a gateway endpoint is free."""
    if properties.expect("VpcEndpointType", "Interface", "Gateway") == "Interface":
        to_provider = str(properties.take("ServiceName")).startswith("com.amazonaws.vpce.")
        line = TO_PROVIDERS if to_provider else TO_AWS
        yield line, "interface-endpoint", len(properties.take("SubnetIds"))


def _tasks(template: Template, service: Resource) -> Iterator[Item]:
    """As many Fargate tasks as the scaling keeps at least."""
    properties = template.read(service)
    properties.expect("LaunchType", "FARGATE")
    least = [
        template.read(target).take("MinCapacity")
        for target in template.of_type("AWS::ApplicationAutoScaling::ScalableTarget")
        if service.logical_id in template.references(target.properties)
    ]
    count = least[0] if least else properties.take("DesiredCount")
    task = template.read(template.follow(properties.take("TaskDefinition"), "AWS::ECS::TaskDefinition"))
    cpu = task.table("RuntimePlatform").take("CpuArchitecture")
    yield COMPUTE, f"vcpu-{cpu}", count * Decimal(task.take("Cpu")) / 1024
    yield COMPUTE, f"gb-{cpu}", count * Decimal(task.take("Memory")) / 1024


def _instances(template: Template, group: Resource) -> Iterator[Item]:
    """As many instances as the group keeps at least, with their disks."""
    properties = template.read(group)
    count = int(properties.take("MinSize"))
    reference = properties.table("LaunchTemplate").take("LaunchTemplateId")
    launch = template.read(template.follow(reference, "AWS::EC2::LaunchTemplate")).table("LaunchTemplateData")
    yield COMPUTE, launch.take("InstanceType"), count
    for mapping in launch.tables("BlockDeviceMappings"):
        disk = mapping.table("Ebs")
        yield COMPUTE, disk.take("VolumeType"), count * disk.take("VolumeSize")
