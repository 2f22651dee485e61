"""Every edit of one thing in a JSON value: each value changed, each key removed or added, each list longer or shorter."""

from collections.abc import Iterator
from typing import Any


def edits(value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The keys that lead to the edited thing, and the whole value with the edit; list indices are no keys."""
    match value:
        case dict():
            for key, inner in value.items():
                yield (key,), {name: kept for name, kept in value.items() if name != key}
                yield from (((key, *path), {**value, key: edited}) for path, edited in edits(inner))
            yield ("Added",), {**value, "Added": "x"}
        case list():
            for index, inner in enumerate(value):
                before, after = value[:index], value[index + 1 :]
                yield (), [*before, *after]
                yield from ((path, [*before, edited, *after]) for path, edited in edits(inner))
            yield from (((), [*value, more]) for more in ["x", *value[-1:]])
        case bool():
            yield (), not value
        case int() | float():
            yield (), value + 1
        case str():
            yield (), f"{value}x"
