"""Compute waits for its network: without this a first create races, fails and rolls back, and no emulator shows it."""

import pytest

from tools.template import Template

COMPUTE = {"ecs-provider": "AWS::ECS::Service", "ec2-provider": "AWS::AutoScaling::AutoScalingGroup"}
# Everything a first boot needs: its way out, who may take it, and what its role may do there.
NEEDED = (
    "AWS::EC2::VPCEndpoint",
    "AWS::EC2::Route",
    "AWS::Route53Resolver::FirewallRuleGroupAssociation",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::IAM::Policy",
)


def closure(template: Template, logical_id: str) -> set[str]:
    """Everything that CloudFormation creates before `logical_id`."""
    before: set[str] = set()
    queue = [logical_id]
    resources = {resource.logical_id: resource for resource in template}
    while queue:
        resource = resources[queue.pop()]
        for name in {*resource.depends_on, *template.references(resource.properties)} - before:
            before.add(name)
            queue.append(name)
    return before


@pytest.mark.parametrize("folder", COMPUTE)
def test_compute_is_created_after_all_it_needs(templates: dict[str, Template], folder: str) -> None:
    template = templates[folder]
    [compute] = template.of_type(COMPUTE[folder])
    before = closure(template, compute.logical_id)
    groups = compute_groups(template)
    needed = [
        resource
        for resource in template.of_type(*NEEDED)
        # Of the rules between security groups, those on the way out of the compute.
        if not resource.type.startswith("AWS::EC2::SecurityGroup") or template.references(resource.properties) & groups
    ]
    assert needed
    assert [resource.logical_id for resource in needed if resource.logical_id not in before] == []


def compute_groups(template: Template) -> set[str]:
    """The security groups of tasks or instances: those that a launch template or a service names."""
    carriers = template.of_type("AWS::EC2::LaunchTemplate", "AWS::ECS::Service")
    mentioned = {name for carrier in carriers for name in template.references(carrier.properties)}
    groups = {group.logical_id for group in template.of_type("AWS::EC2::SecurityGroup")}
    assert mentioned & groups
    return mentioned & groups


def test_lookups_wait_for_the_role_they_use(templates: dict[str, Template]) -> None:
    template = templates["global-apigw"]
    policies = {policy.logical_id for policy in template.of_type("AWS::IAM::Policy")}
    for lookup in template.of_type("Custom::AWS"):
        assert policies <= closure(template, lookup.logical_id)
