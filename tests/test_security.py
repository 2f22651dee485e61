"""Private by proof: the tables in README.md and docs/ say all that the templates open, and no edit goes unseen."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.edits import edits
from tools.reach import Network
from tools.resources import CATALOG, SECTIONS, known, paths, read
from tools.security import DOCS, files, full, tables
from tools.synth import FOLDERS, Document, local
from tools.template import TemplateError

# Types that nobody uses here; each would open something.
UNKNOWN = (
    "ApiGateway::RestApi CloudFormation::Macro CloudFormation::Stack EC2::EIP"
    " EC2::Instance EC2::InstanceConnectEndpoint EC2::InternetGateway EC2::NatGateway EC2::Route EC2::TransitGatewayAttachment"
    " EC2::VPCPeeringConnection ElasticLoadBalancingV2::ListenerRule IAM::AccessKey IAM::ManagedPolicy IAM::OIDCProvider"
    " IAM::RolePolicy IAM::User KMS::Key Lambda::Permission Lambda::Url Logs::Delivery Logs::DeliveryDestination"
    " Logs::Destination Logs::ResourcePolicy Logs::SubscriptionFilter RAM::ResourceShare S3::Bucket SNS::Subscription"
)

REACH = yaml.safe_load(Path(__file__).with_name("reach.yaml").read_text())


# --- the tables are current


def test_the_tables_are_current() -> None:
    # A table that is not current promises what is not so.
    for path, text in files([]).items():
        assert path.read_text() == text, f"run: make docs; then read the difference in {path}"


@pytest.mark.slow
def test_the_tables_of_the_switches_are_current(variants: list[tuple[str, str, Document]]) -> None:
    found = {path: text for path, text in files(variants).items() if path.parent == DOCS}
    assert found == {path: path.read_text() for path in DOCS.iterdir()}, "run: make docs; then read the difference"


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


@pytest.mark.parametrize("edit", REACH["edits"], ids=lambda edit: edit["is"])
def test_the_short_table_shows_an_edit(edit: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    # No group has ingress rules of its own yet.
    monkeypatch.setitem(CATALOG["AWS::EC2::SecurityGroup"], "told", "SecurityGroupEgress SecurityGroupIngress")
    old, new = (
        {row for table in tables({"Resources": {name: body for name, body in each.items() if body}}) for row in table}
        for each in (REACH["template"], REACH["template"] | edit["resources"])
    )
    assert new - old == {*map(tuple, edit["rows"])}


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
