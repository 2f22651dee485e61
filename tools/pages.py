"""The parts of pages that commands write: the text between <!-- name --> and <!-- /name -->."""

import argparse
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Part → the page that holds it.
PAGES = {
    "cost": ROOT / "docs/cost.md",
    "flows": ROOT / "README.md",
    "security": ROOT / "docs/security.md",
    "bench": ROOT / "bench/README.md",
}


def asked_to_write(description: str) -> bool:
    """Whether the command line has --write."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--write", action="store_true", help="also write the tables into the documents")
    return bool(parser.parse_args().write)


def read(name: str) -> str:
    """The text of a part."""
    found = re.search(rf"<!-- {name} -->\n(.*)<!-- /{name} -->\n", PAGES[name].read_text(), re.DOTALL)
    if not found:
        raise ValueError(f"{PAGES[name]} has no part <!-- {name} --> … <!-- /{name} -->")
    return found[1]


def write(name: str, text: str) -> None:
    """Replace the text of a part."""
    page = PAGES[name].read_text()
    old, new = (f"<!-- {name} -->\n{part}<!-- /{name} -->\n" for part in (read(name), text))
    PAGES[name].write_text(page.replace(old, new))
