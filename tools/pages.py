"""The documents that commands write: whole files, and the parts of pages between <!-- name --> and <!-- /name -->."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from tools.template import TemplateError


def page(path: Path, name: str, part: str) -> str:
    """The text of a page with another part."""
    before, after = re.split(rf"(?<=<!-- {name} -->\n).*(?=<!-- /{name} -->)", path.read_text(), flags=re.DOTALL)
    return before + part + after


def write(files: Callable[[], dict[Path, str]]) -> None:
    """Write the files; a template that cannot be read ends the command."""
    try:
        for path, text in files().items():
            path.write_text(text)
    except TemplateError as error:
        sys.exit(f"error: {error}")
