"""What only a deploy tells: compares what is deployed with the expectations of settled.toml. It changes nothing."""

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jmespath

from common.account import Answer, Stack, UnseenError

DOUBTS: dict[str, Answer] = tomllib.loads(Path(__file__).with_name("settled.toml").read_text())


def observe(stack: Stack, doubt: Answer) -> Iterator[Any]:
    """What the call finds for each resource of the type; nothing where AWS has no value yet."""
    now = datetime.now(UTC)
    times: Answer = {"now": now.isoformat(), "hour_ago": (now - timedelta(hours=1)).isoformat()}
    times["yesterday"] = int((now - timedelta(days=1)).timestamp() * 1000)
    for id, properties in stack.of_type(doubt["type"]).items():
        known = {**properties, **times, "id": id, "name": id.rpartition(":")[2]}
        # A text that is a name alone becomes the value, of whatever type; a name in a text becomes a part of it.
        arguments = re.sub(
            r'"<(\w+)>"|<(\w+)>',
            lambda name: json.dumps(known[name[1]]) if name[1] else str(known[name[2]]),  # noqa: B023 - used at once
            json.dumps(doubt["arguments"]),
        )
        found = jmespath.search(doubt["found"], stack.account.one(doubt["call"], **json.loads(arguments)))
        if found not in (None, []):
            yield found


def settle(stacks: Sequence[Stack]) -> Iterator[str]:
    """A line a doubt: name, expected, observed, what follows."""
    yield "settled by this deploy (docs/first-deploy.md):"
    for name, doubt in DOUBTS.items():
        try:
            own = [stack for stack in stacks if stack.name in doubt.get("stacks", ())]
            found = [value for stack in own for value in observe(stack, doubt)]
            is_same = all(value == doubt["expected"] for value in found)
            mark = ("same" if is_same else "differs") if found else "not yet" if own else "unseen"
            text = (
                f"expected {doubt.get('expected')}, observed {', '.join(dict.fromkeys(map(str, found))) or 'nothing'}"
            )
        except UnseenError as error:
            mark, text = "unseen", str(error)
        if "call" not in doubt:
            mark, text = "by hand", doubt["how"]
        yield f"{mark:<7} {name:<23} {text}; {doubt['why']}" + f"; send back {doubt.get('send')}" * (mark == "differs")
