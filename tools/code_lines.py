"""Prints the code lines of Python: no blanks, comments or docstrings, copies counted once, the bench aside."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLACES = ("ecs-provider", "ec2-provider", "global-apigw", "tools", "tests")
NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER
}  # fmt: skip


def code_lines(text: str) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    lines = {line for t in tokens if t.type not in NO_CODE for line in range(t.start[0], t.end[0] + 1)}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            lines -= {*range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)}
    return len(lines)


def main() -> None:
    counted: dict[str, bool] = {}  # text → whether it is a test
    for place in PLACES:
        for path in (ROOT / place).rglob("*.py"):
            parts = path.relative_to(ROOT).parts
            if not any(part.startswith(".") or part in ("node_modules", "cdk.out") for part in parts):
                counted[path.read_text()] = "tests" in parts
    product, tests = (sum(code_lines(text) for text, test in counted.items() if test is kind) for kind in (False, True))
    print(f"code lines: {product:,} product, {tests:,} tests")


if __name__ == "__main__":
    main()
