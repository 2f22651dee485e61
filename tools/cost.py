"""The idle cost of the design a month, beside the 2021 sample: python -m tools.cost [--write]."""

import sys
import tomllib
from collections.abc import Iterable, Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, NamedTuple

from tools import pages, synth
from tools.resources import CATALOG
from tools.template import Resource, Template, TemplateError

PRICES: dict[str, Any] = tomllib.loads((Path(__file__).parent / "prices.toml").read_text(), parse_float=Decimal)
ACCOUNTS = ("global-apigw", "ecs-provider", "ec2-provider")
# Stands for an account. These lines are not in the total: the 2021 sample has nothing to compare them with.
BESIDES, LINES_BESIDES = "besides", ("alarms", "DNS firewalls", "metrics made of logs")
COMPUTE = "compute and disks"
MOST_OF_THE_SAMPLE, MOST_FOR_ONE_MORE = 42, 15  # the goals: %, USD a month

Item = tuple[str, str, Any]  # line of the table, name of the price, quantity


class Cost(NamedTuple):
    """US dollars a month on a line of the table."""

    account: str
    line: str
    usd: Decimal


def billed(template: Template) -> Iterator[Item]:
    """The items that the resources are billed for while idle; TemplateError for a type without a price."""
    for resource in template:
        where = f"{resource.logical_id} ({resource.type})"
        try:
            yield from _items(template, resource, where)
        except KeyError as error:
            raise TemplateError(f"{where}: property {error.args[0]} is missing") from None


def _items(template: Template, resource: Resource, where: str) -> Iterator[Item]:
    own = resource.properties
    match resource.type:
        case type if rule := PRICES["billed"].get(type):
            yield rule["line"], rule["price"], len(own[rule["each"]]) if "each" in rule else 1
        case "AWS::ElasticLoadBalancingV2::LoadBalancer":
            yield "load balancers", own.get("Type", "application"), 1
        case "AWS::EC2::VPCEndpoint":
            if (kind := own["VpcEndpointType"]) != "Gateway":
                to = "providers" if str(own["ServiceName"]).startswith("com.amazonaws.vpce.") else "AWS services"
                yield f"endpoints to {to}", f"endpoint-{kind}", len(own["SubnetIds"])
        case "AWS::CloudWatch::Alarm":
            yield "alarms", "alarm-metric", sum("MetricStat" in metric for metric in own.get("Metrics", [])) or 1
        case "AWS::ECS::Service":
            yield from _tasks(template, own, resource.logical_id)
        case "AWS::AutoScaling::AutoScalingGroup":
            yield from _instances(template, own)
        case type if not CATALOG.get(type, {}).get("free"):
            raise TemplateError(
                f"{where}: what does it cost while idle? Price it in tools/prices.toml or tools/cost.py, "
                "or say free = true in tools/resources.toml"
            )


def _tasks(template: Template, service: dict[str, Any], logical_id: str) -> Iterator[Item]:
    """The smallest number of tasks that the scaling keeps, else the number that the service asks for."""
    targets = template.of_type("AWS::ApplicationAutoScaling::ScalableTarget")
    least = [each.properties for each in targets if logical_id in template.references(each.properties)]
    count = least[0]["MinCapacity"] if least else service["DesiredCount"]
    task = template.follow(service["TaskDefinition"], "AWS::ECS::TaskDefinition").properties
    kind = f"{service['LaunchType']}-{task['RuntimePlatform']['CpuArchitecture']}"
    yield COMPUTE, f"vcpu-{kind}", count * Decimal(task["Cpu"]) / 1024
    yield COMPUTE, f"gb-{kind}", count * Decimal(task["Memory"]) / 1024


def _instances(template: Template, group: dict[str, Any]) -> Iterator[Item]:
    """The smallest number of instances that the group keeps, with their disks."""
    launched = template.follow(group["LaunchTemplate"]["LaunchTemplateId"], "AWS::EC2::LaunchTemplate")
    count, launch = int(group["MinSize"]), launched.properties["LaunchTemplateData"]
    yield COMPUTE, launch["InstanceType"], count
    for disk in [mapping["Ebs"] for mapping in launch["BlockDeviceMappings"]]:
        yield COMPUTE, disk["VolumeType"], count * disk["VolumeSize"]


def priced(account: str, item: Item) -> Cost:
    """The cost of one item; TemplateError without a price."""
    line, name, quantity = item
    if name not in PRICES["prices"]:
        raise TemplateError(f"{account}: {line}: no price of {name!r}; add it to tools/prices.toml")
    price = PRICES["prices"][name]
    usd = price["usd"] * quantity * {"hour": PRICES["hours"], "month": 1}[price["per"]]
    return Cost(BESIDES if line in LINES_BESIDES else account, line, usd)


def sample(column: str) -> list[Cost]:
    """The costs of the 2021 sample, `as_is` or `redundant`."""
    entries = [(entry["account"], entry["line"], entry[column]) for entry in PRICES["original"]]
    return [priced(account, (line, *item)) for account, line, items in entries for item in items.items()]


def account(name: str, template: synth.Document) -> list[Cost]:
    """The costs of a folder's template."""
    return [priced(name, item) for item in billed(Template(template))]


def one_more_service() -> tuple[Decimal, Decimal]:
    """The cost of one more entry in the registry: in the gateway's account, and besides."""
    added = PRICES["one_more"]
    template = synth.synthesize("global-apigw", synth.registry() + added["entry"], **added["environ"])
    now, more = (account("global-apigw", each) for each in (synth.local("global-apigw"), template))
    return total(more, *ACCOUNTS) - total(now, *ACCOUNTS), total(more, BESIDES) - total(now, BESIDES)


def total(costs: Iterable[Cost], *accounts: str, line: str | None = None) -> Decimal:
    return sum((cost.usd for cost in costs if cost.account in accounts and line in (None, cost.line)), Decimal())


def dollars(usd: Decimal) -> str:
    return str(usd.quantize(Decimal("0.01"), ROUND_HALF_UP)) if usd else "0"


def table(columns: dict[str, list[Cost]]) -> str:
    """Markdown: the total, then each account with its lines."""
    totals = [f"**{dollars(total(costs, *ACCOUNTS))}**" for costs in columns.values()]
    rows = [["USD a month while idle", *columns], ["---", *["---:"] * len(columns)], ["**total**", *totals]]
    for name in (*ACCOUNTS, BESIDES):
        lines = sorted({cost.line for costs in columns.values() for cost in costs if cost.account == name})
        for line in (None, *lines):
            amounts = [dollars(total(costs, name, line=line)) for costs in columns.values()]
            rows.append([line or f"**{name}**", *amounts])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def report() -> tuple[str, bool]:
    """The text for docs/cost.md, and whether the goals are met."""
    redundant, ours = sample("redundant"), [cost for name in ACCOUNTS for cost in account(name, synth.local(name))]
    share, (adds, watching) = 100 * total(ours, *ACCOUNTS) / total(redundant, *ACCOUNTS), one_more_service()
    text = table({"2021 sample": sample("as_is"), "the sample made redundant": redundant, "this design": ours})
    text += f"""
List prices of {PRICES["region"]}, {PRICES["date"]}, {PRICES["hours"]} hours a month; no traffic, no free tier; logs cost by the GB.
That is {share:.1f} % of the sample at the same redundancy (goal: at most {MOST_OF_THE_SAMPLE} %). Each further service adds
{dollars(adds)} to the gateway's account and {dollars(watching)} for its alarm (goal: at most {MOST_FOR_ONE_MORE}).
"""
    return text, share <= MOST_OF_THE_SAMPLE and adds + watching <= MOST_FOR_ONE_MORE


def main() -> None:
    write = pages.asked_to_write("Compute the idle cost from the templates.")
    try:
        text, met = report()
    except TemplateError as error:
        sys.exit(f"error: {error}")
    print(text, end="")
    if write:
        pages.write("cost", text)
    if not met:
        sys.exit("error: a goal is missed")


if __name__ == "__main__":
    main()
