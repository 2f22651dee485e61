"""The parts of README.md that commands write: what stands between <!-- name --> and <!-- /name -->."""

from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def _split(name: str) -> tuple[str, str, str]:
    before, begin, rest = README.read_text().partition(f"<!-- {name} -->\n")
    part, end, after = rest.partition(f"<!-- /{name} -->\n")
    if not end:
        raise ValueError(f"README.md has no part <!-- {name} --> … <!-- /{name} -->")
    return before + begin, part, end + after


def read(name: str) -> str:
    return _split(name)[1]


def write(name: str, text: str) -> None:
    before, _, after = _split(name)
    README.write_text(before + text + after)
