"""The parts of a page that commands write: what stands between <!-- name --> and <!-- /name -->."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
# Which page holds which part.
PAGES = {
    "cost": ROOT / "docs/cost.md",
    "flows": ROOT / "README.md",
    "security": ROOT / "docs/security.md",
    "bench": ROOT / "bench/README.md",
}


def _split(name: str) -> tuple[str, str, str]:
    before, begin, rest = PAGES[name].read_text().partition(f"<!-- {name} -->\n")
    part, end, after = rest.partition(f"<!-- /{name} -->\n")
    if not end:
        raise ValueError(f"{PAGES[name]} has no part <!-- {name} --> … <!-- /{name} -->")
    return before + begin, part, end + after


def read(name: str) -> str:
    return _split(name)[1]


def write(name: str, text: str) -> None:
    before, _, after = _split(name)
    PAGES[name].write_text(before + text + after)
