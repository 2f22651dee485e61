"""Private by proof: the tables in README.md and docs/ say all that the templates open, and no edit goes unseen."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.edits import edits
from tools.reach import Network, Row
from tools.resources import CATALOG, SECTIONS, known, paths, read
from tools.security import DOCS, files, full, tables
from tools.synth import FOLDERS, Document, local
from tools.template import TemplateError

# Types that nobody uses here; each would open something.
UNKNOWN = (
    "ApiGateway::RestApi ApiGatewayV2::ApiMapping ApiGatewayV2::DomainName CloudFormation::Macro CloudFormation::Stack EC2::EIP"
    " EC2::Instance EC2::InstanceConnectEndpoint EC2::InternetGateway EC2::NatGateway EC2::Route EC2::TransitGatewayAttachment"
    " EC2::VPCPeeringConnection ElasticLoadBalancingV2::ListenerRule IAM::AccessKey IAM::ManagedPolicy IAM::OIDCProvider"
    " IAM::RolePolicy IAM::User KMS::Key Lambda::Permission Lambda::Url Logs::Delivery Logs::DeliveryDestination"
    " Logs::Destination Logs::ResourcePolicy Logs::SubscriptionFilter RAM::ResourceShare S3::Bucket SNS::Subscription"
)


# --- the tables are current


def test_the_tables_are_current() -> None:
    # A table that is not current promises what is not so.
    for path, text in files([]).items():
        assert path.read_text() == text, f"run: make security; then read the difference in {path}"


@pytest.mark.slow
def test_the_tables_of_the_switches_are_current(variants: list[tuple[str, str, Document]]) -> None:
    found = {path: text for path, text in files(variants).items() if path.parent == DOCS}
    assert found == {path: path.read_text() for path in DOCS.iterdir()}, "run: make security; then read the difference"


# --- no edit goes unseen


def is_seen(before: list[str], document: Document) -> bool:
    try:
        return full(document) != before
    except TemplateError:
        return True


def tried(document: Document) -> Iterator[tuple[str, bool]]:
    """The path of each edit of one thing that is not listed as harmless, and whether the full table shows or refuses it."""
    sections = {name: value for name, value in document.items() if name != "Resources"}
    for name, part in {"template": sections, **document["Resources"]}.items():
        listed = paths(SECTIONS) if part is sections else known(part["Type"])
        # The told values of a resource do not depend on other resources.
        before = full(alone(name, part))
        for path, edited in edits(part):
            if "harmless" not in [listed.get(".".join(path[:length])) for length in range(1, len(path) + 1)]:
                yield ".".join((name, *path)), is_seen(before, alone(name, edited))


def alone(name: str, part: Document) -> Document:
    return {**part, "Resources": {}} if name == "template" else {"Resources": {name: part}}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_edit_of_one_thing_goes_unseen(folder: str) -> None:
    # A review overlooks one line of a template; this must not.
    found = [*tried(local(folder))]
    assert len(found) > 500, "too few edits to prove anything"
    assert [path for path, seen in found if not seen] == []


@pytest.mark.slow
def test_no_edit_under_other_settings_goes_unseen(variants: list[tuple[str, str, Document]]) -> None:
    for folder, switches, document in variants:
        assert [path for path, seen in tried(document) if not seen] == [], f"{folder} {switches}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_further_resource_goes_unseen(folder: str) -> None:
    document = local(folder)
    before = full(document)
    for type in [*CATALOG, "AWS::EC2::InternetGateway"]:
        for body in [{"Type": type}, *(body for body in document["Resources"].values() if body["Type"] == type)]:
            assert is_seen(before, {**document, "Resources": {**document["Resources"], "Added": body}}), type


JOIN_OF_A_SPLIT = {"Fn::Join": ["", {"Fn::Split": [",", "a"]}]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"Condition": "Sometimes"}, "Condition is neither told nor harmless in tools/resources.toml"),
        ({"Properties": {"Tags": {"Fn::Transform": {}}}}, "Properties.Tags is neither told nor harmless"),
        ({"Properties": {"CidrBlock": {"Fn::If": []}}}, "Properties.CidrBlock has Fn::If, which is not known here"),
        ({"Properties": {"CidrBlock": JOIN_OF_A_SPLIT}}, "Properties.CidrBlock.Fn::Join has Fn::Split, which is not"),
    ],
)
def test_fails_when_an_attribute_or_a_function_is_unknown(body: Document, message: str) -> None:
    with pytest.raises(TemplateError, match=rf"Vpc \(AWS::EC2::VPC\): {message}"):
        read({"Resources": {"Vpc": {"Type": "AWS::EC2::VPC", **body}}})


def row(type: str, **properties: object) -> str:
    """The first row of one resource."""
    return full({"Resources": {"Thing": {"Type": type, "Properties": properties}}})[0]


def test_a_text_that_looks_like_a_reference_is_none() -> None:
    assert row("AWS::EC2::VPC", CidrBlock={"Ref": "Range"}) != row("AWS::EC2::VPC", CidrBlock="${Range}")


@pytest.mark.parametrize(("text", "rows"), [("{}.zip", 1), ("x@sha256:{}", 2)])
def test_only_the_key_of_an_asset_may_change_with_a_build(text: str, rows: int) -> None:
    assert len({row("AWS::Lambda::Function", Code={"S3Key": text.format(each * 64)}) for each in "ab"}) == rows


# --- the short table is right


def ports(protocol: str, first: int, last: int, **peer: Any) -> Document:
    return {"IpProtocol": protocol, "FromPort": first, "ToPort": last, **peer}


def named(folder: str, type: str, text: str = "") -> str:
    """The first resource of the type that has the text."""
    resources: Document = local(folder)["Resources"]
    return next(name for name, body in resources.items() if body["Type"] == f"AWS::{type}" and text in str(body))


def patched(value: Any, patch: Any) -> Any:
    """The value with the tables of the patch merged into its own and the lists added; None removes a key."""
    if isinstance(value, dict) and isinstance(patch, dict):
        merged = {key: patched(value.get(key), inner) for key, inner in patch.items()}
        return {key: inner for key, inner in {**value, **merged}.items() if inner is not None}
    return [*value, *patch] if isinstance(value, list) and isinstance(patch, list) else patch


ECS, GATEWAY, BALANCER = "ecs-provider", "global-apigw", "ElasticLoadBalancingV2::LoadBalancer"
DOGS, DOGS_GROUP = named(ECS, "ECS::Service"), named(ECS, "EC2::SecurityGroup", "dog-names tasks")
DOGS_NLB, NLB_GROUP = named(ECS, BALANCER), named(ECS, "EC2::SecurityGroup", "provider NLB")
VPC, ROLE, S3 = named(ECS, "EC2::VPC"), named(ECS, "IAM::Role"), named(ECS, "EC2::VPCEndpoint", ".s3")
NLB, PLACE = (
    named(GATEWAY, BALANCER),
    local(GATEWAY)["Resources"][named(GATEWAY, "ApiGatewayV2::VpcLink")]["Properties"],
)
OWN = {"Fn::GetAtt": [DOGS_GROUP, "GroupId"]}
RULES = [name for name, body in local(ECS)["Resources"].items() if body["Type"] == "AWS::EC2::SecurityGroupEgress"]

# Edits: properties by resource.
SSH_FROM_A_RANGE = {DOGS_GROUP: {"SecurityGroupIngress": [ports("tcp", 22, 22, CidrIp="198.51.100.0/24")]}}
ALL_PROTOCOLS = {"SecurityGroupEgress": [ports("-1", 1, 1, DestinationSecurityGroupId=OWN)]}
MEET_UDP = {DOGS_GROUP: {**ALL_PROTOCOLS, "SecurityGroupIngress": [ports("udp", 53, 99, SourceSecurityGroupId=OWN)]}}
MEETS_A_RANGE = {NLB_GROUP: {"SecurityGroupIngress": [ports("tcp", 443, 443, SourceSecurityGroupId=OWN)]}}
NO_EGRESS_RULE = {DOGS_GROUP: {"SecurityGroupEgress": None}, **dict.fromkeys(RULES)}
OTHER_TEMPLATE = {DOGS_NLB: {"SecurityGroups": ["sg-0bad"]}}
ANY_PRINCIPAL = {named(ECS, "EC2::VPCEndpointServicePermissions"): {"AllowedPrincipals": ["*"]}}
OTHER_NAMES = {named(ECS, "Route53Resolver::FirewallDomainList"): {"Domains": ["example.com"]}}
SOME_NAMES_BLOCKED = {named(ECS, "Route53Resolver::FirewallDomainList", "['*']"): {"Domains": "example.com"}}
NO_DNS_FIREWALL = {named(ECS, "Route53Resolver::FirewallRuleGroupAssociation"): None}
TRUST = {"Principal": {"AWS": "999999999999"}, "Action": "sts:AssumeRole", "Condition": {"Bool": {"a": True}}}
OTHER_ACCOUNT = {ROLE: {"AssumeRolePolicyDocument": {"Statement": [TRUST]}}}
LAUNCH = {"LaunchTemplateData": {"SecurityGroupIds": PLACE["SecurityGroupIds"]}}
HOST = {"LaunchTemplate": {"LaunchTemplateId": {"Ref": "EC2::LaunchTemplate"}}, "VPCZoneIdentifier": PLACE["SubnetIds"]}
HOST_IN_THE_GROUP_OF_THE_VPC_LINK = {"EC2::LaunchTemplate": LAUNCH, "AutoScaling::AutoScalingGroup": HOST}
TARGET_BY_ADDRESS = {
    named(GATEWAY, "ElasticLoadBalancingV2::TargetGroup"): {"Targets": [{"Id": "10.0.0.9", "Port": 22}]}
}
JWT = {"JwtConfiguration": {"Issuer": "https://issuer.example.com/", "Audience": ["dogs"]}}
ASKS = {
    "AuthorizationType": "JWT",
    "AuthorizerId": {"Ref": "ApiGatewayV2::Authorizer"},
    "AuthorizationScopes": ["a", "b"],
}
ROUTE_WITH_A_TOKEN = {"ApiGatewayV2::Authorizer": JWT, named(GATEWAY, "ApiGatewayV2::Route"): ASKS}


@pytest.mark.parametrize(
    ("folder", "edit", "row"),
    [
        (ECS, SSH_FROM_A_RANGE, ("198.51.100.0/24", "22", DOGS)),
        (ECS, MEET_UDP, (DOGS, "udp 53-99", DOGS)),
        (ECS, MEETS_A_RANGE, (DOGS, "443", DOGS_NLB)),
        (ECS, NO_EGRESS_RULE, (DOGS, "all", f"{S3} (com.amazonaws.${{AWS::Region}}.s3)")),
        (ECS, OTHER_TEMPLATE, (DOGS_NLB, "all", "sg-0bad of another template")),
        (ECS, ANY_PRINCIPAL, ("*", "8080", DOGS_NLB)),
        (ECS, OTHER_NAMES, (VPC, "53", "Route 53 Resolver: example.com")),
        (ECS, SOME_NAMES_BLOCKED, (VPC, "53", "Route 53 Resolver: *")),
        (ECS, NO_DNS_FIREWALL, (VPC, "53", "Route 53 Resolver: *")),
        (ECS, OTHER_ACCOUNT, ("999999999999", ROLE, "sts:AssumeRole, Condition.Bool.a true")),
        (GATEWAY, HOST_IN_THE_GROUP_OF_THE_VPC_LINK, ("AutoScaling::AutoScalingGroup", "8081", NLB)),
        (GATEWAY, TARGET_BY_ADDRESS, (f"{NLB}:8081", "22", "10.0.0.9")),
        (GATEWAY, ROUTE_WITH_A_TOKEN, ("GET /dogs", "JWT https://issuer.example.com/ dogs a or b", f"{NLB}:8081")),
    ],
)
def test_the_short_table_shows_an_edit(folder: str, edit: Document, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    # No group has ingress rules of its own yet.
    monkeypatch.setitem(CATALOG["AWS::EC2::SecurityGroup"], "told", "SecurityGroupEgress SecurityGroupIngress")
    monkeypatch.setitem(CATALOG["AWS::EC2::SecurityGroup"], "harmless", "GroupDescription VpcId")
    before = local(folder)
    # A new resource has its type for a name.
    types = {name: {"Type": f"AWS::{name}"} for name in edit if name not in before["Resources"]}
    patch = {name: inner and {**types.get(name, {}), "Properties": inner} for name, inner in edit.items()}
    old, new = (
        {row for table in tables(document) for row in table}
        for document in (before, patched(before, {"Resources": patch}))
    )
    assert row in new and row not in old


@pytest.mark.parametrize("folder", ["ecs-provider", "ec2-provider"])
def test_the_dns_firewall_answers_for_the_names_that_a_start_asks_for(folder: str) -> None:
    # A forgotten name ends a boot that nobody can try here.
    network = Network(read(local(folder)))
    names = re.findall(r"`([^`]*REGION\.[^`]*)`", (ROOT / folder / "README.md").read_text())
    answered = [to.partition(": ")[2] for _, port, to in network.flows() if port == "53"]
    assert len(names) >= 4
    assert [name for name in names if not any(fnmatch(name, each) for each in answered)] == []
    # Every AWS service that the template has a way to.
    for endpoint in network.of_type("AWS::EC2::VPCEndpoint"):
        service = endpoint.properties["ServiceName"].split(".")[3:]
        assert any({*service} <= {*name.split(".")} for name in names), service
