"""The lines of one request in all logs: the verb `follow`, or python -m common.follow REQUEST LOG for the log of a local run."""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import boto3

from common.account import UnseenError, all_stacks, open_accounts
from common.checks import CheckError
from common.settings import Settings

SPAN = timedelta(hours=24)


class Line(NamedTuple):
    """A line of a log, with the status and the milliseconds that it names. The fields are those of the table."""

    time: str
    where: str
    account: str
    status: str
    ms: str
    text: str


def moment(milliseconds: float) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def read(text: str, where: str, account: str, default: str) -> Line:
    """The line has JSON of the API or of a service. A line without JSON has the time `default`."""
    try:
        known = json.loads(text)
        time = moment(int(known["time"])) if known["time"].isdecimal() else known["time"]
    except (ValueError, LookupError, TypeError):
        return Line(default, where, account, "", "", text.strip())
    took = known.get("latency", known.get("durationMs", ""))
    return Line(time, where, account, str(known.get("status", "")), str(took), text.strip())


def read_log(request: str, path: Path) -> Iterator[Line]:
    """Of the supervisor's output, whose lines have the name of a part in front."""
    time = ""
    for each in path.read_text(errors="replace").splitlines():
        if match := re.fullmatch(r"\S+ (\S+?)(?:\.\d+)? +\| (.*)", each):
            line = read(match[2], match[1], "local", time)
            time = line.time
            if request in line.text:
                yield line


def show(request: str, lines: Sequence[Line], where: str) -> None:
    """The table in order of time; without a line, exits with 1."""
    if not lines:
        print(f"error: no line has {request}; looked in {where}", file=sys.stderr)
        sys.exit(1)
    rows = [Line("time", "where", "account", "status", "ms", "line"), *sorted(lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)), row.text, sep="  ")


def check_request(request: str) -> str:
    if not re.fullmatch(r"[\w=-]{8,}", request):
        expected = "expected the value of an answer's header apigw-requestid, such as JKJaXmPLvHcESHA="
        raise CheckError(f"REQUEST is {request or 'empty'}, {expected}")
    return request


def follow(session: boto3.Session, settings: Settings, *, environ: Mapping[str, str]) -> None:
    """The verb `follow`: REQUEST in the log groups of all stacks in the accounts that can be read."""
    request, now = check_request(environ.get("REQUEST", "")), datetime.now(UTC)
    span = {name: int(each.timestamp() * 1000) for name, each in (("startTime", now - SPAN), ("endTime", now))}
    lines, looked = list[Line](), list[str]()
    for stack in all_stacks([*open_accounts(session, settings.region, environ.get("OTHER_PROFILES", ""))]):
        for group in stack.of_type("AWS::Logs::LogGroup"):
            try:
                call = {"logGroupName": group, "filterPattern": f'"{request}"', **span}
                found = stack.account.one("logs.filter_log_events", **call).get("events", ())
            except UnseenError as error:
                print(f"unseen  {group}: {error}")
                continue
            looked.append(f"{group} ({stack.account.id})")
            lines += [read(each["message"], stack.name, stack.account.id, moment(each["timestamp"])) for each in found]
    show(
        request,
        lines,
        f"{', '.join(looked) or 'no log group'}, from {now - SPAN:%Y-%m-%dT%H:%MZ} to {now:%Y-%m-%dT%H:%MZ}",
    )


if __name__ == "__main__":
    try:
        wanted, log = check_request(sys.argv[1]), Path(sys.argv[2])
        show(wanted, [*read_log(wanted, log)], f"{log.name} of the last make local")
    except (CheckError, FileNotFoundError) as problem:
        print(f"error: {problem}".replace("error: error:", "error:"), file=sys.stderr)
        sys.exit(2)
