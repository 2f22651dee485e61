"""Rules for the resources of all three templates."""

import pytest

from tests.conftest import FOLDERS
from tools.template import Template

# Each would open a way between a VPC and the internet, or another network.
GATEWAYS = ("InternetGateway", "EgressOnlyInternetGateway", "NatGateway")
WAYS = (*GATEWAYS, "EIP", "VPCPeeringConnection", "TransitGatewayAttachment")
ACCOUNTS = dict(zip(FOLDERS, ("222222222222", "333333333333", "111111111111"), strict=True))
# EC2 gives its instances the credentials without a source that a condition could name.
WITHOUT_SOURCE = "ec2.amazonaws.com"
# A first boot needs these: its routes and endpoints, the rules on its way, and the rights of its role.
NEEDED = (
    "AWS::EC2::VPCEndpoint",
    "AWS::EC2::Route",
    "AWS::Route53Resolver::FirewallRuleGroupAssociation",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::IAM::Policy",
)


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_reaches_the_internet(templates: dict[str, Template], folder: str) -> None:
    assert not templates[folder].of_type(*(f"AWS::EC2::{way}" for way in WAYS))


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_security_group_admits_an_address_range(templates: dict[str, Template], folder: str) -> None:
    groups = templates[folder].of_type("AWS::EC2::SecurityGroup")
    assert groups and not any("SecurityGroupIngress" in group.properties for group in groups)
    for rule in templates[folder].of_type("AWS::EC2::SecurityGroupIngress"):
        assert "SourceSecurityGroupId" in rule.properties and not any("Cidr" in name for name in rule.properties)


def closure(template: Template, logical_id: str) -> set[str]:
    """Everything that CloudFormation creates before `logical_id`."""
    before: set[str] = set()
    queue = [logical_id]
    resources = {resource.logical_id: resource for resource in template}
    while queue:
        resource = resources[queue.pop()]
        found = {*resource.depends_on, *template.references(resource.properties)} - before
        before |= found
        queue += found
    return before


@pytest.mark.parametrize(
    ("folder", "type"), [("ecs-provider", "AWS::ECS::Service"), ("ec2-provider", "AWS::AutoScaling::AutoScalingGroup")]
)
def test_compute_is_created_after_everything_that_it_needs(
    templates: dict[str, Template], folder: str, type: str
) -> None:
    # Without this a first create races, fails and rolls back, and no emulator shows it.
    template = templates[folder]
    [compute] = template.of_type(type)
    carriers = template.of_type("AWS::EC2::LaunchTemplate", "AWS::ECS::Service")
    mentioned = {name for carrier in carriers for name in template.references(carrier.properties)}
    groups = mentioned & {group.logical_id for group in template.of_type("AWS::EC2::SecurityGroup")}
    needed = {
        resource.logical_id
        for resource in template.of_type(*NEEDED)
        # Of the rules between security groups, those of the compute's own groups.
        if not resource.type.startswith("AWS::EC2::SecurityGroup") or template.references(resource.properties) & groups
    }
    assert groups and needed
    assert needed - closure(template, compute.logical_id) == set()


def test_lookups_wait_for_the_role_they_use(templates: dict[str, Template]) -> None:
    template = templates["global-apigw"]
    policies = {policy.logical_id for policy in template.of_type("AWS::IAM::Policy")}
    for lookup in template.of_type("Custom::AWS"):
        assert policies <= closure(template, lookup.logical_id)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_role_trusts_a_service_only_when_it_acts_for_this_account(
    templates: dict[str, Template], folder: str
) -> None:
    # Else somebody of another account could make the service use the role.
    roles = templates[folder].of_type("AWS::IAM::Role")
    found = [each for role in roles for each in role.properties["AssumeRolePolicyDocument"]["Statement"]]
    assert found
    for statement in found:
        [service] = statement["Principal"].values()
        own = {"StringEquals": {"aws:SourceAccount": ACCOUNTS[folder]}}
        assert statement.get("Condition") == (None if service == WITHOUT_SOURCE else own), service
