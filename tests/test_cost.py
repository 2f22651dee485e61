"""The idle cost: computed from the templates, in docs/cost.md as `make cost` prints it, and within its goals."""

import pytest

from tools import cost, pages, synth
from tools.template import Template, TemplateError


def billed(type: str, **properties: object) -> list[cost.Item]:
    return list(cost.billed(Template({"Resources": {"Thing": {"Type": type, "Properties": properties}}})))


@pytest.fixture(scope="module")
def report() -> tuple[str, bool]:
    return cost.report()


def test_the_page_says_what_make_cost_prints(report: tuple[str, bool]) -> None:
    assert pages.read("cost") == report[0], "run: make cost WRITE=1"


def test_the_goals_hold(report: tuple[str, bool]) -> None:
    assert report[1], report[0]


LINES = ("NAT gateways and their addresses", "load balancers", "endpoints to providers", "compute and disks")


# By hand, from the sample's stacks and the price lists.
@pytest.mark.parametrize(
    ("column", "expected"),
    [("as_is", ["109.50", "65.70", "29.20", "36.56"]), ("redundant", ["219.00", "65.70", "29.20", "54.58"])],
)
def test_the_sample_costs_what_was_worked_out_by_hand(column: str, expected: list[str]) -> None:
    found = cost.sample(column)
    assert [cost.dollars(cost.total(found, *cost.ACCOUNTS, line=line)) for line in LINES] == expected
    assert {each.line for each in found} == {*LINES}


def test_the_design_has_two_of_everything_and_no_nat() -> None:
    ours = [each for name in cost.ACCOUNTS for each in cost.account(name, synth.local(name))]
    assert cost.dollars(cost.total(ours, *cost.ACCOUNTS)) == "150.24"
    assert not [each for each in ours if "NAT" in each.line]


@pytest.mark.parametrize(
    ("type", "properties", "message"),
    [
        ("AWS::RDS::DBInstance", {}, r"Thing \(AWS::RDS::DBInstance\): what does it cost while idle\?"),
        ("AWS::ECS::Service", {"DesiredCount": 2}, r"Thing \(AWS::ECS::Service\): property TaskDefinition is missing"),
    ],
)
def test_fails_when_the_cost_of_a_resource_is_unknown(type: str, properties: dict[str, object], message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        billed(type, **properties)


def test_fails_when_the_price_of_a_kind_is_unknown() -> None:
    [balancer] = billed("AWS::ElasticLoadBalancingV2::LoadBalancer", Type="gateway")
    with pytest.raises(TemplateError, match="ec2-provider: load balancers: no price of 'gateway'"):
        cost.priced("ec2-provider", balancer)


@pytest.mark.parametrize(("type", "usd"), [("AWS::EC2::NatGateway", "32.85"), ("AWS::EC2::EIP", "3.65")])
def test_a_nat_gateway_and_its_address_would_be_found(type: str, usd: str) -> None:
    assert [cost.dollars(cost.priced("ecs-provider", item).usd) for item in billed(type)] == [usd]
