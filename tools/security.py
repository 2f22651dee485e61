"""What the templates open, for a security reviewer: docs/security.md has the short tables, docs/security/ all values.

    python -m tools.security [--write]

docs/security/FOLDER.txt has every value that is told, FOLDER.switches.txt the lines that other settings change.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from tools import pages
from tools.reach import Network, Row
from tools.resources import flat, read
from tools.synth import FOLDERS, ROOT, Document, local, variants
from tools.template import TemplateError

DOCS = ROOT / "docs/security"


def tables(document: Document) -> dict[Row, list[Row]]:
    """The short table of one template: four heads and their rows."""
    network = Network(read(document))
    found = {
        ("from", "port", "to"): network.flows(),
        ("listener", "port", "target"): network.listeners(),
        ("route", "who may call it", "leads to"): network.routes(),
        ("who", "on", "may"): network.permissions(),
    }
    return {head: sorted({*rows}) for head, rows in found.items()}


def short(document: Document) -> list[str]:
    """The short table as aligned lines, with an empty line after each of its parts."""
    lines = []
    for head, rows in tables(document).items():
        first, second = (max(len(row[column]) for row in (head, *rows)) for column in (0, 1))
        lines += [f"{row[0]:{first}}  {row[1]:{second}}  {row[2]}" for row in (head, *rows) if rows]
        lines += [""] if rows else []
    return lines


def full(document: Document) -> list[str]:
    """Every value that is told."""
    return [f"{each.logical_id} {path} {text}" for each in read(document) for path, text in flat(each.told)]


def changes(document: Document, default: Document) -> list[str]:
    """The lines of both tables that a variant has less and more than the default."""
    before, after = (
        ["  ".join(row) for rows in tables(each).values() for row in rows] + full(each) for each in (default, document)
    )
    gone = [f"- {line}" for line in before if line not in after]
    return [*gone, *(f"+ {line}" for line in after if line not in before)]


def files(variants: Iterable[tuple[str, str, Document]]) -> dict[Path, str]:
    """The text of each file in docs/security/."""
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
        texts["flows"] += "\n".join(["", folder, *lines[: lines.index("") + 1]])
        texts["security"] += "\n".join(["", folder, "", *lines])
    return {name: f"```{text}```\n" for name, text in texts.items()}


def main() -> None:
    try:
        write = pages.asked_to_write("Say what the templates open.")
        print(parts()["security"], end="")
        if write:
            for name, text in parts().items():
                pages.write(name, text)
            for path, text in files(variants()).items():
                path.write_text(text)
    except TemplateError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
