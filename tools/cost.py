"""Writes the idle cost of the design a month, beside the 2021 sample, into docs/cost.md: python -m tools.cost."""

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import ROUND_HALF_UP, Decimal
from itertools import chain
from pathlib import Path
from typing import Any

from tools import pages, synth
from tools.resources import CATALOG
from tools.template import Resource, Template, TemplateError

PAGE = synth.ROOT / "docs/cost.md"
PRICES: dict[str, Any] = tomllib.loads((Path(__file__).parent / "prices.toml").read_text(), parse_float=Decimal)
# The 2021 sample has nothing to compare these lines with.
APART, LINES_APART = ("not in the total", ""), ("alarms", "dashboards", "DNS firewalls", "metrics made of logs")
TOTAL = ("total", "")
COMPUTE = "compute and disks"

Item = tuple[str, str, Any]  # line of the table, name of the price, quantity
Costs = defaultdict[tuple[str, str], Decimal]  # US dollars a month by account and line; the line of a sum is empty


def billed(template: Template, resource: Resource) -> Iterator[Item]:
    """The items that the resource is billed for while idle; TemplateError for a type without a price."""
    own, where = resource.properties, f"{resource.logical_id} ({resource.type})"
    try:
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
                    f"{where}: what does it cost while idle? Price it in tools/prices.toml or tools/cost.py, or say free = true "
                    "in tools/resources.toml"
                )
    except KeyError as error:
        raise TemplateError(f"{where}: property {error.args[0]} is missing") from None


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


def costs(items: Iterable[tuple[str, Item]]) -> Costs:
    """The costs of each account's items: by line, by account and of all; TemplateError for an unknown price."""
    found: Costs = defaultdict(Decimal)
    for account, (line, name, quantity) in items:
        if name not in PRICES["prices"]:
            raise TemplateError(f"{account}: {line}: no price of {name!r}; add it to tools/prices.toml")
        price = PRICES["prices"][name]
        usd = price["usd"] * quantity * {"hour": PRICES["hours"], "month": 1}[price["per"]]
        for row in [APART, (APART[0], line)] if line in LINES_APART else [TOTAL, (account, ""), (account, line)]:
            found[row] += usd
    return found


def sample(column: str) -> Costs:
    """The costs of the 2021 sample, `as_is` or `redundant`."""
    entries = PRICES["original"]
    return costs((entry["account"], (entry["line"], *item)) for entry in entries for item in entry[column].items())


def design(**changed: synth.Document) -> Costs:
    """The costs of the local templates, or of others by folder."""
    return costs_of({folder: synth.local(folder) for folder in synth.FOLDERS} | changed)


def costs_of(documents: dict[str, synth.Document]) -> Costs:
    """The costs of templates by folder."""
    templates = {folder: Template(document) for folder, document in documents.items()}
    return costs((name, item) for name, own in templates.items() for each in own for item in billed(own, each))


def dollars(usd: Decimal) -> str:
    return str(usd.quantize(Decimal("0.01"), ROUND_HALF_UP))


def table(columns: dict[str, Costs]) -> str:
    """Markdown: the lines of each account, and their sums."""
    rows = [["account", "USD a month while idle", *columns], ["---", "---", *["---:"] * len(columns)]]
    for account, line in sorted({*chain(*columns.values())}):
        amounts = [dollars(costs[account, line]) for costs in columns.values()]
        rows.append([account, line or "**all**", *amounts])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def files() -> dict[Path, str]:
    """The text of docs/cost.md."""
    redundant, ours, added = sample("redundant"), design(), PRICES["one_more"]
    template = synth.synthesize("global-apigw", synth.registry() + added["entry"], **added["environ"])
    more = design(**{"global-apigw": template})
    text = table({"2021 sample": sample("as_is"), "the sample made redundant": redundant, "this design": ours})
    text += f"""
List prices of {PRICES["region"]}, {PRICES["date"]}, {PRICES["hours"]} hours a month; no traffic, no free tier; logs cost by the GB.
The total is {100 * ours[TOTAL] / redundant[TOTAL]:.1f} % of the sample at the same redundancy. One more service adds \
{dollars(more[TOTAL] - ours[TOTAL])} to the gateway's account and {dollars(more[APART] - ours[APART])} for its alarm.
"""
    return {PAGE: pages.page(PAGE, "cost", text)}


if __name__ == "__main__":
    pages.write(files)
