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
    times = {"now": now.isoformat(), "hour_ago": (now - timedelta(hours=1)).isoformat()}
    for id, properties in stack.of_type(doubt["type"]).items():
        known = {**properties, **times, "id": id, "name": id.rpartition(":")[2]}
        since = str(int((now - timedelta(days=1)).timestamp() * 1000))
        plain = json.dumps(doubt["arguments"]).replace('"<yesterday>"', since)
        arguments = re.sub(r"<(\w+)>", lambda match: str(known[match[1]]), plain)  # noqa: B023 - used at once
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
