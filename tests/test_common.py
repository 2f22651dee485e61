"""What several folders need is copied: folders never import from each other."""

import re

import pytest

from tests.conftest import FOLDERS, MADE, ROOT

KINDS = (".py", ".mk", ".toml", ".json", ".sh")
COMMON = sorted(
    {
        path.relative_to(ROOT / folder)
        for folder in FOLDERS
        for path in (ROOT / folder / "common").rglob("*")
        if path.is_file() and not {*MADE} & set(path.parts)
    }
)


@pytest.mark.parametrize("path", COMMON, ids=str)
def test_the_same_path_under_common_has_the_same_bytes(path: str) -> None:
    copies = [ROOT / folder / path for folder in FOLDERS if (ROOT / folder / path).exists()]
    texts = {copy.read_bytes() for copy in copies}
    assert len(texts) == 1, f"change all copies: {', '.join(str(copy.relative_to(ROOT)) for copy in copies)}"


def test_no_folder_reaches_outside_itself() -> None:
    for folder in FOLDERS:
        others = "|".join(name.replace("-", "[-_]") for name in {*FOLDERS, "tools"} - {folder})
        for path in (ROOT / folder).rglob("*"):
            if (path.suffix in KINDS or path.name == "Makefile") and not {*MADE} & set(path.parts):
                found = re.search(rf"\.\./\.\./|\.\./({others})\b|\b(from|import) ({others})\b", path.read_text())
                assert not found, f"{path}: {found.group()}"
