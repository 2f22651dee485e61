"""Writes what the templates open, for a security reviewer: python -m tools.security.

README.md and docs/security.md have the short tables. docs/security/FOLDER.txt has every value that is told,
FOLDER.switches.txt the lines that other settings change.
"""

from collections.abc import Iterable
from pathlib import Path

from tools import pages
from tools.reach import Network, Row
from tools.resources import flat, read
from tools.synth import FOLDERS, ROOT, Document, local, variants

README, PAGE, DOCS = ROOT / "README.md", ROOT / "docs/security.md", ROOT / "docs/security"


def tables(document: Document) -> list[list[Row]]:
    """The short tables of one template, each with its head."""
    network = Network(read(document))
    found = {
        ("from", "port", "to"): network.flows(),
        ("listener", "port", "target"): network.listeners(),
        ("route", "who may call it", "leads to"): network.routes(),
        ("who", "on", "may"): network.permissions(),
    }
    return [[head, *sorted({*rows})] for head, rows in found.items()]


def aligned(table: list[Row]) -> str:
    first, second, _ = (max(map(len, column)) for column in zip(*table, strict=True))
    return "".join(f"{row[0]:{first}}  {row[1]:{second}}  {row[2]}\n" for row in table)


def full(document: Document) -> list[str]:
    """Every value that is told."""
    return sorted(f"{each.logical_id} {path} {text}" for each in read(document) for path, text in flat(each.told))


def changes(document: Document, default: Document) -> list[str]:
    """The lines of all tables that a variant has less and more than the default."""
    before, after = (
        ["  ".join(row) for table in tables(each) for row in table] + full(each) for each in (default, document)
    )
    gone = [f"- {line}" for line in before if line not in after]
    return [*gone, *(f"+ {line}" for line in after if line not in before)]


def files(variants: Iterable[tuple[str, str, Document]]) -> dict[Path, str]:
    """The text of each document."""
    flows = opened = ""
    lines: dict[Path, list[str]] = {}
    for folder in FOLDERS:
        first, *others = map(aligned, [table for table in tables(local(folder)) if len(table) > 1])
        flows += f"\n{folder}\n{first}"
        opened += "\n".join(["", folder, "", first, *others])
        lines[DOCS / f"{folder}.txt"] = full(local(folder))
    for folder, switches, document in variants:
        changed = [switches, *changes(document, local(folder)), ""]
        lines.setdefault(DOCS / f"{folder}.switches.txt", []).extend(changed)
    return {
        README: pages.page(README, "flows", f"```{flows}```\n"),
        PAGE: pages.page(PAGE, "security", f"```{opened}```\n"),
        **{path: "\n".join(each).rstrip() + "\n" for path, each in lines.items()},
    }


if __name__ == "__main__":
    pages.write(lambda: files(variants()))
