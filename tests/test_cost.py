"""The idle cost: computed from the templates, in docs/cost.md as `make cost` prints it, and within its goals."""

from decimal import Decimal

import pytest

from tools import cost, readme
from tools.pricing import CostError, billed
from tools.template import Template


def template(type: str, **properties: object) -> Template:
    return Template({"Resources": {"Thing": {"Type": type, "Properties": properties}}})


@pytest.fixture(scope="module")
def report() -> tuple[str, bool]:
    return cost.report()


def test_the_page_says_what_make_cost_prints(report: tuple[str, bool]) -> None:
    assert readme.read("cost") == report[0], "run: make cost WRITE=1"


def test_the_goals_hold(report: tuple[str, bool]) -> None:
    assert report[1], report[0]


# By hand, from the sample's stacks and the price lists.
@pytest.mark.parametrize(
    ("column", "nat", "balancers", "endpoints", "compute"),
    [("as_is", "109.50", "65.70", "29.20", "36.56"), ("redundant", "219.00", "65.70", "29.20", "54.58")],
)
def test_the_sample_costs_what_was_worked_out_by_hand(
    column: str, nat: str, balancers: str, endpoints: str, compute: str
) -> None:
    by_line: dict[str, Decimal] = {}
    for (_, line), usd in cost.sample(column).items():
        by_line[line] = by_line.get(line, Decimal()) + usd
    assert [cost.dollars(usd) for usd in by_line.values()] == [nat, balancers, endpoints, compute]


def test_the_design_has_two_of_everything_and_no_nat() -> None:
    ours = cost.merged(map(cost.account, cost.ACCOUNTS))
    assert cost.dollars(cost.total(ours)) == "150.24"
    assert not [line for _, line in ours if "NAT" in line]


def test_fails_when_a_type_has_no_price_and_is_not_listed_as_free() -> None:
    with pytest.raises(CostError, match=r"Thing \(AWS::RDS::DBInstance\): what does it cost while idle\?"):
        list(billed(template("AWS::RDS::DBInstance")))


def test_fails_when_the_price_of_a_kind_is_unknown() -> None:
    balancer = template("AWS::ElasticLoadBalancingV2::LoadBalancer", Type="gateway")
    with pytest.raises(CostError, match="ec2-provider: load balancers: no price of 'gateway'"):
        cost.priced("ec2-provider", next(iter(billed(balancer))))


def test_a_nat_gateway_and_its_address_would_be_found() -> None:
    for type, monthly in (("AWS::EC2::NatGateway", "32.85"), ("AWS::EC2::EIP", "3.65")):
        [item] = billed(template(type))
        assert [cost.dollars(usd) for usd in cost.priced("ecs-provider", item).values()] == [monthly]
