"""The idle cost: computed from the templates, in docs/cost.md as `make docs` writes it, and within its goals."""

import re
from decimal import Decimal

import pytest

from tools import cost
from tools.synth import local
from tools.template import Template, TemplateError

SERVICES = len(Template(local("global-apigw")).of_type("AWS::EC2::VPCEndpoint"))


def costs(type: str, **properties: object) -> cost.Costs:
    template = Template({"Resources": {"Thing": {"Type": type, "Properties": properties}}})
    return cost.costs(("ec2-provider", item) for each in template for item in cost.billed(template, each))


def test_the_page_is_current_and_the_goals_hold() -> None:
    [text] = cost.files().values()
    assert cost.PAGE.read_text() == text, "run: make docs"
    [adds, alarm] = map(Decimal, re.findall(r"([\d.]+) (?:to the gateway|for its alarm)", text))
    assert adds + alarm <= 15
    # The sample has two services.
    comparable = cost.design()[cost.TOTAL] - (SERVICES - 2) * adds
    assert comparable <= Decimal("0.42") * cost.sample("redundant")[cost.TOTAL]


LINES = (
    "NAT gateways and their addresses",
    "load balancers",
    "endpoints to providers",
    "endpoints to AWS services",
    cost.COMPUTE,
)


# By hand, from the stacks and the price lists.
@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (cost.sample("as_is"), ["109.50", "65.70", "29.20", "0.00", "36.56"]),
        (cost.sample("redundant"), ["219.00", "65.70", "29.20", "0.00", "54.58"]),
        (cost.design(), ["0.00", "49.28", cost.dollars(SERVICES * Decimal("14.60")), "43.80", "27.96"]),
    ],
    ids=["sample", "redundant", "design"],
)
def test_the_lines_cost_what_was_worked_out_by_hand(found: cost.Costs, expected: list[str]) -> None:
    by_line = [sum((usd for row, usd in found.items() if row[1] == line), Decimal()) for line in LINES]
    assert [cost.dollars(usd) for usd in by_line] == expected
    assert sum(by_line) == found[cost.TOTAL]


@pytest.mark.parametrize(
    ("type", "properties", "message"),
    [
        ("RDS::DBInstance", {}, r"Thing \(AWS::RDS::DBInstance\): what does it cost while idle\?"),
        ("ECS::Service", {"DesiredCount": 2}, r"Thing \(AWS::ECS::Service\): property TaskDefinition is missing"),
        ("ElasticLoadBalancingV2::LoadBalancer", {"Type": "gateway"}, "load balancers: no price of 'gateway'"),
    ],
)
def test_fails_when_the_cost_of_a_resource_is_unknown(type: str, properties: dict[str, object], message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        costs(f"AWS::{type}", **properties)


@pytest.mark.parametrize(("type", "usd"), [("NatGateway", "32.85"), ("EIP", "3.65")])
def test_a_nat_gateway_and_its_address_would_be_found(type: str, usd: str) -> None:
    assert cost.dollars(costs(f"AWS::EC2::{type}")[cost.TOTAL]) == usd
