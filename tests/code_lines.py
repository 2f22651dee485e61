"""Prints the code lines of Python: no blanks, comments or docstrings; copies counted once, the bench aside."""

import ast
import io
import tokenize
from pathlib import Path

from tests.conftest import FOLDERS, MADE, ROOT

KINDS = ("product", "tests", "emulation of AWS")
LAYOUT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def code_lines(text: str) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    lines = {line for token in tokens if token.type not in LAYOUT for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            lines -= {*range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)}
    return len(lines)


def kind(path: Path) -> str:
    """In tests/rehearsal, what is no test stands in for AWS."""
    is_test = "tests" in path.parts
    stands_in = path.parent.name == "rehearsal" and not path.name.startswith(("test_", "conftest"))
    return KINDS[is_test + (is_test and stands_in)]


def main() -> None:
    paths = [path.relative_to(ROOT) for place in (*FOLDERS, "tools", "tests") for path in (ROOT / place).rglob("*.py")]
    texts = {(ROOT / path).read_text(): kind(path) for path in paths if not {*MADE} & {*path.parts}}
    lines = {each: sum(code_lines(text) for text, own in texts.items() if own == each) for each in KINDS}
    print("code lines: " + ", ".join(f"{count:,} {each}" for each, count in lines.items()))


if __name__ == "__main__":
    main()
