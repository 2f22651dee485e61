"""Private by proof: the tables in README.md and docs/ say all that the templates open, and no edit goes unseen."""

import copy
import re
from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.edits import edits
from tools import readme
from tools.reach import Network, Row
from tools.resources import CATALOG, SECTIONS, paths, read
from tools.security import DOCS, FOLDERS, local, pages, parts, tables
from tools.template import TemplateError

Json = dict[str, Any]
# Types that nobody uses here; each would open something.
UNKNOWN = (
    "ApiGateway::RestApi ApiGatewayV2::ApiMapping ApiGatewayV2::DomainName CloudFormation::Macro CloudFormation::Stack EC2::EIP"
    " EC2::Instance EC2::InstanceConnectEndpoint EC2::InternetGateway EC2::NatGateway EC2::Route EC2::TransitGatewayAttachment"
    " EC2::VPCPeeringConnection ElasticLoadBalancingV2::ListenerRule IAM::AccessKey IAM::ManagedPolicy IAM::OIDCProvider"
    " IAM::RolePolicy IAM::User KMS::Key Lambda::Permission Lambda::Url Logs::Delivery Logs::DeliveryDestination"
    " Logs::Destination Logs::ResourcePolicy Logs::SubscriptionFilter RAM::ResourceShare S3::Bucket SNS::Subscription"
)


def all_rows(document: Json) -> list[str]:
    return [row for resource in read(document) for row in resource.rows()]


def is_seen(before: list[str], document: Json) -> bool:
    try:
        return all_rows(document) != before
    except TemplateError:
        return True


# --- the tables are current


@pytest.mark.parametrize("part", ["flows", "security"])
def test_the_pages_say_what_the_templates_open(part: str) -> None:
    # A table that is not current promises what is not so.
    assert readme.read(part) == parts()[part], "run: make security WRITE=1"


def test_the_whole_table_is_current() -> None:
    for path, text in pages([]).items():
        assert path.read_text() == text, f"read the difference in {path}, then run: make security WRITE=1"


@pytest.mark.slow
def test_the_table_of_the_switches_is_current(variants: list[tuple[str, str, Json]]) -> None:
    expected = pages(variants)
    assert {path.name for path in DOCS.iterdir()} == {path.name for path in expected}
    for path, text in expected.items():
        assert path.read_text() == text, f"read the difference in {path}, then run: make security WRITE=1"


# --- no edit goes unseen


def harmless(path: tuple[str, ...], known: list[str]) -> bool:
    steps = [".".join(path[:length]) for length in range(1, len(path) + 1)]
    return any(step in known for step in steps)


def unseen(document: Json) -> Iterator[str]:
    """Every edit of one thing that changes no row, is not refused, and is not listed as harmless; counts them all."""
    sections = {name: value for name, value in document.items() if name != "Resources"}
    before = all_rows({**sections, "Resources": {}})
    for path, edited in edits(sections):
        if not harmless(path, SECTIONS["harmless"].split()):
            COUNTED["template"] += 1
            if not is_seen(before, {**edited, "Resources": {}}):
                yield ".".join(path)
    for logical_id, body in document["Resources"].items():
        # The rows of a resource do not depend on other resources.
        before = all_rows({"Resources": {logical_id: body}})
        for path, edited in edits(body):
            if not harmless(path, paths(body["Type"], "harmless")):
                COUNTED[body["Type"]] += 1
                if not is_seen(before, {"Resources": {logical_id: edited}}):
                    yield ".".join((logical_id, *path))


COUNTED: Counter[str] = Counter()


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_edit_of_one_thing_goes_unseen(folder: str) -> None:
    # A review overlooks one line of a template; this must not.
    COUNTED.clear()
    assert list(unseen(local(folder))) == []
    assert COUNTED.total() > 500, "too few edits to prove anything"
    print(f"{folder}: {COUNTED.total()} edits")


@pytest.mark.slow
def test_no_edit_under_other_settings_goes_unseen(variants: list[tuple[str, str, Json]]) -> None:
    for folder, switches, document in variants:
        assert [f"{folder} {switches}: {edit}" for edit in unseen(document)] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_further_resource_goes_unseen(folder: str) -> None:
    document = local(folder)
    before = all_rows(document)
    for type in [*CATALOG, *(f"AWS::{name}" for name in UNKNOWN.split())]:
        for body in [{"Type": type}, *(body for body in document["Resources"].values() if body["Type"] == type)]:
            assert is_seen(before, {**document, "Resources": {**document["Resources"], "Added": body}}), type


@pytest.mark.parametrize("section", ["Transform", "Conditions", "Mappings", "Metadata", "Hooks"])
def test_fails_when_a_template_has_another_section(section: str) -> None:
    with pytest.raises(TemplateError, match=f"template: {section} is neither told nor harmless"):
        read({section: {}, "Resources": {}})


@pytest.mark.parametrize("attribute", ["Condition", "CreationPolicy", "Metadata", "Fn::Transform"])
def test_fails_when_a_resource_has_another_attribute(attribute: str) -> None:
    with pytest.raises(TemplateError, match=rf"Vpc \(AWS::EC2::VPC\): {attribute} is neither told nor harmless"):
        read({"Resources": {"Vpc": {"Type": "AWS::EC2::VPC", attribute: {}}}})


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"Tags": {"Fn::Transform": {"Name": "Bad"}}}, "Properties.Tags is neither told nor harmless"),
        ({"CidrBlock": {"Fn::If": ["A", "b", "c"]}}, "Properties.CidrBlock has Fn::If, which is not known here"),
        ({"CidrBlock": {"Fn::Join": ["", {"Fn::Split": [",", "a"]}]}}, "Properties.CidrBlock has Fn::Join"),
    ],
)
def test_fails_when_a_value_is_computed_in_an_unknown_way(properties: Json, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        read({"Resources": {"Vpc": {"Type": "AWS::EC2::VPC", "Properties": properties}}})


def test_a_text_that_looks_like_a_reference_is_none() -> None:
    def row(value: object) -> str:
        return all_rows({"Resources": {"Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": value}}}})[-1]

    assert row({"Ref": "Range"}) != row("${Range}")


def test_only_the_key_of_an_asset_may_change_with_a_build() -> None:
    digests = ["a" * 64, "b" * 64]
    code, image = (
        [
            {"Type": "AWS::Lambda::Function", "Properties": {"Code": {"S3Key": text.format(digest)}}}
            for digest in digests
        ]
        for text in ("{}.zip", "x@sha256:{}")
    )
    assert [len({tuple(all_rows({"Resources": {"F": body}})) for body in bodies}) for bodies in (code, image)] == [1, 2]


# --- the short table is right


def named(document: Json, type: str, number: int = 0) -> str:
    names: list[str] = [name for name, body in document["Resources"].items() if body["Type"] == type]
    return names[number]


def with_edit(folder: str, edit: Callable[[Json, Callable[..., str]], None]) -> set[Row]:
    """The rows of the short table that are new after the edit."""
    before = local(folder)
    after = copy.deepcopy(before)
    edit(after["Resources"], lambda type, number=0: named(before, f"AWS::{type}", number))
    old, new = ({row for rows in tables(document).values() for row in rows} for document in (before, after))
    return new - old


def ssh_from_a_range(resources: Json, name: Callable[..., str]) -> None:
    rule = {"CidrIp": "198.51.100.0/24", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    resources[DOGS_GROUP]["Properties"]["SecurityGroupIngress"] = [rule]


def all_protocols_meet_udp(resources: Json, name: Callable[..., str]) -> None:
    own = {"Fn::GetAtt": [DOGS_GROUP, "GroupId"]}
    sent = {"DestinationSecurityGroupId": own, "IpProtocol": "-1", "FromPort": 1, "ToPort": 1}
    taken = {"SourceSecurityGroupId": own, "IpProtocol": "udp", "FromPort": 53, "ToPort": 99}
    resources[DOGS_GROUP]["Properties"] |= {"SecurityGroupEgress": [sent], "SecurityGroupIngress": [taken]}


def ingress_that_a_range_reaches(resources: Json, name: Callable[..., str]) -> None:
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    ends = {"GroupId": {"Ref": NLB_GROUP}, "SourceSecurityGroupId": {"Fn::GetAtt": [DOGS_GROUP, "GroupId"]}}
    resources["Taken"] = {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": {**rule, **ends}}


def no_egress_rule(resources: Json, name: Callable[..., str]) -> None:
    del resources[DOGS_GROUP]["Properties"]["SecurityGroupEgress"]
    for rule in [rule for rule, body in resources.items() if body["Type"] == "AWS::EC2::SecurityGroupEgress"]:
        if resources[rule]["Properties"]["GroupId"] == {"Fn::GetAtt": [DOGS_GROUP, "GroupId"]}:
            del resources[rule]


def group_of_another_template(resources: Json, name: Callable[..., str]) -> None:
    resources[DOGS_NLB]["Properties"]["SecurityGroups"] += ["sg-0bad"]


def any_principal(resources: Json, name: Callable[..., str]) -> None:
    resources[name("EC2::VPCEndpointServicePermissions")]["Properties"]["AllowedPrincipals"] += ["*"]


def host_in_the_group_of_the_vpc_link(resources: Json, name: Callable[..., str]) -> None:
    link = resources[name("ApiGatewayV2::VpcLink")]["Properties"]
    launched = {"LaunchTemplateData": {"SecurityGroupIds": link["SecurityGroupIds"]}}
    resources["Launch"] = {"Type": "AWS::EC2::LaunchTemplate", "Properties": launched}
    group = {"LaunchTemplate": {"LaunchTemplateId": {"Ref": "Launch"}}, "VPCZoneIdentifier": link["SubnetIds"]}
    resources["Host"] = {"Type": "AWS::AutoScaling::AutoScalingGroup", "Properties": group}


def target_by_address(resources: Json, name: Callable[..., str]) -> None:
    targets = resources[name("ElasticLoadBalancingV2::TargetGroup")]["Properties"]["Targets"]
    targets += [{"Id": "10.0.0.9", "Port": 22}]


def route_with_a_token(resources: Json, name: Callable[..., str]) -> None:
    jwt = {"Issuer": "https://issuer.example.com/", "Audience": ["dogs"]}
    resources["Jwt"] = {"Type": "AWS::ApiGatewayV2::Authorizer", "Properties": {"JwtConfiguration": jwt}}
    asks = {"AuthorizationType": "JWT", "AuthorizerId": {"Ref": "Jwt"}, "AuthorizationScopes": ["a", "b"]}
    resources[name("ApiGatewayV2::Route")]["Properties"] |= asks


def trust_in_another_account(resources: Json, name: Callable[..., str]) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "999999999999"},
        "Action": "sts:AssumeRole",
        "Condition": {"Bool": {"a": True}},
    }
    resources[name("IAM::Role")]["Properties"]["AssumeRolePolicyDocument"]["Statement"] += [statement]


def weaker_dns_firewall(resources: Json, name: Callable[..., str]) -> None:
    resources[name("Route53Resolver::FirewallRuleGroup")]["Properties"]["FirewallRules"].pop()


def other_names(resources: Json, name: Callable[..., str]) -> None:
    resources[name("Route53Resolver::FirewallDomainList")]["Properties"]["Domains"] += ["example.com"]


ECS = local("ecs-provider")
DOGS, DOGS_NLB = named(ECS, "AWS::ECS::Service"), named(ECS, "AWS::ElasticLoadBalancingV2::LoadBalancer")
PLACE = ECS["Resources"][DOGS]["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]
NLB_GROUP = ECS["Resources"][DOGS_NLB]["Properties"]["SecurityGroups"][0]["Fn::GetAtt"][0]
DOGS_GROUP = PLACE["SecurityGroups"][0]["Fn::GetAtt"][0]
VPC = named(ECS, "AWS::EC2::VPC")
S3 = "NetworkVpcs3950B4C5B (com.amazonaws.${AWS::Region}.s3)"


@pytest.mark.parametrize(
    ("edit", "row"),
    [
        (ssh_from_a_range, ("198.51.100.0/24", "22", DOGS)),
        (all_protocols_meet_udp, (DOGS, "udp 53-99", DOGS)),
        (ingress_that_a_range_reaches, (DOGS, "443", DOGS_NLB)),
        (no_egress_rule, (DOGS, "all", S3)),
        (group_of_another_template, (DOGS_NLB, "all", "sg-0bad of another template")),
        (any_principal, ("*", "8080", DOGS_NLB)),
        (
            trust_in_another_account,
            ("999999999999", named(ECS, "AWS::IAM::Role"), "sts:AssumeRole, Condition.Bool.a true"),
        ),
    ],
)
def test_the_short_table_of_a_provider_shows(edit: Any, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    # No group has ingress rules of its own yet.
    monkeypatch.setitem(CATALOG["AWS::EC2::SecurityGroup"], "told", "SecurityGroupEgress SecurityGroupIngress")
    monkeypatch.setitem(CATALOG["AWS::EC2::SecurityGroup"], "harmless", "GroupDescription VpcId")
    assert row in with_edit("ecs-provider", edit)


GATEWAY = local("global-apigw")
NLB = named(GATEWAY, "AWS::ElasticLoadBalancingV2::LoadBalancer")


@pytest.mark.parametrize(
    ("edit", "row"),
    [
        (host_in_the_group_of_the_vpc_link, ("Host", "8081", NLB)),
        (target_by_address, (f"{NLB}:8081", "22", "10.0.0.9")),
        (route_with_a_token, ("GET /dogs", "JWT https://issuer.example.com/ dogs a or b", f"{NLB}:8081")),
    ],
)
def test_the_short_table_of_the_gateway_shows(edit: Any, row: Row) -> None:
    assert row in with_edit("global-apigw", edit)


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
