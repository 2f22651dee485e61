"""The README lists every stand-in, and no other."""

import re
from pathlib import Path

HERE = Path(__file__).parent
README = (HERE / "README.md").read_text()


def test_the_readme_lists_every_stand_in() -> None:
    ours = {path.name for path in HERE.glob("*.py")} - {"__init__.py", "conftest.py"}
    listed = re.findall(r"^\| `(\w+\.py)` \|", README, re.MULTILINE)
    assert sorted(listed) == sorted(name for name in ours if not name.startswith("test_"))
