"""Writes the page of the API's document: python -m tools.page REGISTRY INTO. The script that shows it is beside it."""

import json
import sys
import tomllib
from pathlib import Path

from tools.openapi import REGISTRY, contracts, document


def page(api: dict[str, object]) -> str:
    """The page; it works from a file, so it has the document in it."""
    # No "</script>" of the document ends the script.
    return (
        Path(__file__).with_name("index.html").read_text().replace('"<api>"', json.dumps(api).replace("<", "\\u003c"))
    )


if __name__ == "__main__":
    registry, into = (REGISTRY.parent / sys.argv[1]).read_text(), Path(sys.argv[2])
    into.write_text(page(document(tomllib.loads(registry), contracts())))
