"""Prints the code lines of Python: no blanks, comments or docstrings; copies counted once, the bench aside."""

import ast
import io
import tokenize

from tests.conftest import FOLDERS, MADE, ROOT

LAYOUT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def code_lines(text: str) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    lines = {line for token in tokens if token.type not in LAYOUT for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            lines -= {*range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)}
    return len(lines)


def main() -> None:
    paths = [path.relative_to(ROOT) for place in (*FOLDERS, "tools", "tests") for path in (ROOT / place).rglob("*.py")]
    # Text → whether it is a test.
    texts = {(ROOT / path).read_text(): "tests" in path.parts for path in paths if not {*MADE} & {*path.parts}}
    product, tests = (sum(code_lines(text) for text, test in texts.items() if test is kind) for kind in (False, True))
    print(f"code lines: {product:,} product, {tests:,} tests")


if __name__ == "__main__":
    main()
