"""What the templates open, for a security reviewer: docs/security.md has the short tables, docs/security/ all values.

    python -m tools.security [--write]

docs/security/FOLDER.txt has every value that is told, FOLDER.switches.txt the lines that other settings change.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tools import readme
from tools.reach import Network, Row
from tools.resources import read
from tools.synth import ROOT, synthesize, variants
from tools.template import TemplateError

FOLDERS = ("ecs-provider", "ec2-provider", "global-apigw")
DOCS = ROOT / "docs/security"


def local(folder: str) -> dict[str, Any]:
    """The folder's local template, with the default settings."""
    document: dict[str, Any] = json.loads((ROOT / folder / f".local/cdk.out/{folder}.template.json").read_text())
    return document


def switched(folders: Iterable[str] = FOLDERS) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Folder, settings and template of each variant that differs from the default."""
    wanted = [(folder, switches) for folder in folders for switches in variants(folder)[1:]]
    with tempfile.TemporaryDirectory() as into, ThreadPoolExecutor(2) as pool:

        def one(number: int) -> dict[str, Any]:
            folder, switches = wanted[number]
            changed = dict(switch.split("=", 1) for switch in switches.split())
            document: dict[str, Any] = json.loads(synthesize(folder, Path(into, str(number)), **changed).read_text())
            return document

        for (folder, switches), document in zip(wanted, pool.map(one, range(len(wanted))), strict=True):
            yield folder, switches, document


def tables(document: dict[str, Any]) -> dict[Row, set[Row]]:
    """The short table of one template: four heads and their rows."""
    network = Network(read(document))
    return {
        ("from", "port", "to"): network.flows(),
        ("listener", "port", "target"): network.listeners(),
        ("route", "who may call it", "leads to"): network.routes(),
        ("who", "on", "may"): network.permissions(),
    }


def short(document: dict[str, Any]) -> list[str]:
    """The short table as lines."""
    found = tables(document).items()
    return [line for head, rows in found if rows for line in ["", *_aligned([head, *sorted(rows)])]][1:]


def _aligned(rows: list[Row]) -> list[str]:
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    return [f"{row[0]:{first}}  {row[1]:{second}}  {row[2]}" for row in rows]


def _rows(document: dict[str, Any]) -> list[str]:
    """The short table with no columns, whose widths would change every line."""
    return ["  ".join(row) for rows in tables(document).values() for row in sorted(rows)]


def full(document: dict[str, Any]) -> list[str]:
    """Every value that is told."""
    return [row for resource in read(document) for row in resource.rows()]


def changes(document: dict[str, Any], default: dict[str, Any]) -> list[str]:
    """The lines of both tables that a variant has less and more than the default."""
    before, after = ([*_rows(each), *full(each)] for each in (default, document))
    gone = [f"- {line}" for line in before if line not in after]
    return [*gone, *(f"+ {line}" for line in after if line not in before)]


def pages(variants: Iterable[tuple[str, str, dict[str, Any]]]) -> dict[Path, str]:
    """What each file of docs/security/ has to say."""
    texts = {DOCS / f"{folder}.txt": full(local(folder)) for folder in FOLDERS}
    for folder, switches, document in variants:
        lines = texts.setdefault(DOCS / f"{folder}.switches.txt", [])
        lines += [switches, *changes(document, local(folder)), ""]
    return {path: "\n".join(lines).rstrip() + "\n" for path, lines in texts.items()}


def parts() -> dict[str, str]:
    """The tables in README.md and docs/security.md."""
    texts = {"flows": "", "security": ""}
    for folder in FOLDERS:
        lines = short(local(folder))
        texts["flows"] += "\n".join(["", folder, *lines[: lines.index("")], ""])
        texts["security"] += "\n".join(["", folder, "", *lines, ""])
    return {name: f"```{text}```\n" for name, text in texts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools.security", description="Say what the templates open.")
    parser.add_argument("--write", action="store_true", help="also write it into README.md and docs/")
    arguments = parser.parse_args()
    try:
        print(parts()["security"], end="")
        if arguments.write:
            for name, text in parts().items():
                readme.write(name, text)
            for path, text in pages(switched()).items():
                path.write_text(text)
    except TemplateError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
