"""What the design costs a month while nobody uses it, beside the 2021 sample: python -m tools.cost --help."""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from tools import readme, synth
from tools.pricing import ALARMS, DNS, METRICS, PRICES, CostError, Item, billed
from tools.template import Template, TemplateError

ROOT = Path(__file__).parent.parent
ACCOUNTS = ("global-apigw", "ecs-provider", "ec2-provider")
BESIDES = "besides"  # stands for an account: what is not in the total, because the 2021 sample has nothing like it
MOST_OF_THE_SAMPLE, MOST_FOR_ONE_MORE = 42, 15  # the goals: %, USD a month

Amounts = dict[tuple[str, str], Decimal]  # (account, line of the table) → USD a month


def priced(account: str, item: Item) -> Amounts:
    """What one item costs; CostError without a price."""
    line, name, quantity = item
    if name not in PRICES["prices"]:
        raise CostError(f"{account}: {line}: no price of {name!r}; add it to tools/prices.toml")
    price = PRICES["prices"][name]
    usd = price["usd"] * quantity * {"hour": PRICES["hours"], "month": 1}[price["per"]]
    return {(BESIDES if line in (ALARMS, DNS, METRICS) else account, line): usd}


def merged(parts: Iterable[Amounts]) -> Amounts:
    result: Amounts = {}
    for part in parts:
        for key, usd in part.items():
            result[key] = result.get(key, Decimal()) + usd
    return result


def sample(column: str) -> Amounts:
    """The 2021 sample, `as_is` or `redundant`."""
    return merged(
        priced(entry["account"], (entry["line"], name, quantity))
        for entry in PRICES["original"]
        for name, quantity in entry[column].items()
    )


def account(name: str, template: Path | None = None) -> Amounts:
    """What a folder's template costs, by default its local one."""
    path = template or ROOT / name / f".local/cdk.out/{name}.template.json"
    return merged(priced(name, item) for item in billed(Template.load(path)))


def one_more_service() -> tuple[Decimal, Decimal]:
    """What one more entry in the registry adds to the gateway's account, and besides."""
    with tempfile.TemporaryDirectory() as folder:
        larger = synth.synthesize_registry(
            synth.registry() + PRICES["one_more"]["entry"], Path(folder), **PRICES["one_more"]["environ"]
        )
        more, now = account("global-apigw", larger), account("global-apigw")
    return total(more) - total(now), total(more, [BESIDES]) - total(now, [BESIDES])


def total(column: Amounts, accounts: Iterable[str] = ACCOUNTS) -> Decimal:
    return sum((usd for (name, _), usd in column.items() if name in accounts), Decimal())


def dollars(usd: Decimal) -> str:
    return str(usd.quantize(Decimal("0.01"), ROUND_HALF_UP)) if usd else "0"


def table(columns: dict[str, Amounts]) -> str:
    """Markdown: the total, then each account with its lines."""
    every = columns.values()
    rows = [("USD a month while idle", *columns), ("---", *["---:"] * len(columns))]
    rows.append(("**total**", *(f"**{dollars(total(column))}**" for column in every)))
    for name in (*ACCOUNTS, BESIDES):
        rows.append((f"**{name}**", *(dollars(total(column, [name])) for column in every)))
        lines = sorted({line for column in every for account, line in column if account == name})
        rows += [(line, *(dollars(column.get((name, line), Decimal())) for column in every)) for line in lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def report() -> tuple[str, bool]:
    """What docs/cost.md says, and whether the goals are met."""
    redundant, ours = sample("redundant"), merged(map(account, ACCOUNTS))
    share, (adds, watching) = 100 * total(ours) / total(redundant), one_more_service()
    text = table({"2021 sample": sample("as_is"), "the sample made redundant": redundant, "this design": ours})
    text += f"""
List prices of {PRICES["region"]}, {PRICES["date"]}, {PRICES["hours"]} hours a month; no traffic, no free tier; logs cost by the GB.
That is {share:.1f} % of the sample at the same redundancy (goal: at most {MOST_OF_THE_SAMPLE} %). Each further service adds
{dollars(adds)} to the gateway's account and {dollars(watching)} for its alarm (goal: at most {MOST_FOR_ONE_MORE}).
"""
    return text, share <= MOST_OF_THE_SAMPLE and adds + watching <= MOST_FOR_ONE_MORE


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools.cost", description="Compute the idle cost from the templates.")
    parser.add_argument("--write", action="store_true", help="also write it into docs/cost.md")
    arguments = parser.parse_args()
    try:
        text, met = report()
    except (CostError, TemplateError) as error:
        sys.exit(f"error: {error}")
    print(text, end="")
    if arguments.write:
        readme.write("cost", text)
    if not met:
        sys.exit("error: a goal is missed")


if __name__ == "__main__":
    main()
