"""The lines of one request in all logs: the verb `follow`, or python -m common.follow REQUEST LOG for the log of a local run."""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3

from common.account import UnseenError, open_accounts, stacks
from common.checks import CheckError
from common.settings import Settings

SPAN = timedelta(hours=24)
HEAD = ("time", "where", "account", "status", "ms", "line")
Row = tuple[str, ...]


def moment(milliseconds: float) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def read(text: str, where: str, account: str, default: str) -> Row:
    """A line of the API or of a service is JSON. Any other line has the time `default`."""
    try:
        known = json.loads(text)
        time = str(known["time"])
    except (ValueError, LookupError, TypeError):
        known, time = {}, default
    time = moment(int(time)) if time.isdecimal() else time
    took = known.get("latency", known.get("durationMs", ""))
    return time, where, account, str(known.get("status", "")), str(took), text.strip()


def read_log(request: str, path: Path) -> Iterator[Row]:
    """Of the supervisor's output, whose lines have the name of a part in front."""
    time = ""
    for name, text in re.findall(r"^\S+ (\S+?)(?:\.\d+)? +\| (.*)", path.read_text(errors="replace"), re.MULTILINE):
        row = read(text, name, "local", time)
        time = row[0]
        if request in text:
            yield row


def show(request: str, rows: Sequence[Row], where: str) -> None:
    """The table in order of time; without a row, exits with 1."""
    if not rows:
        print(f"error: no line has {request}; looked in {where}", file=sys.stderr)
        sys.exit(1)
    widths = [max(map(len, column)) for column in zip(HEAD, *rows, strict=True)]
    for row in (HEAD, *sorted(rows)):
        print(*map(str.ljust, row[:-1], widths), row[-1], sep="  ")


def check_request(request: str) -> str:
    if re.fullmatch(r"[\w=-]{8,}", request):
        return request
    expected = "expected the value of an answer's header apigw-requestid, such as JKJaXmPLvHcESHA="
    raise CheckError(f"REQUEST is {request or 'empty'}, {expected}")


def follow(session: boto3.Session, settings: Settings, *, environ: Mapping[str, str]) -> None:
    """The verb `follow`: REQUEST in the log groups of all stacks in the accounts that can be read."""
    request, now = check_request(environ.get("REQUEST", "")), datetime.now(UTC)
    span = {name: int(each.timestamp() * 1000) for name, each in (("startTime", now - SPAN), ("endTime", now))}
    rows, looked = list[Row](), list[str]()
    for account in open_accounts(session, settings.region, environ.get("OTHER_PROFILES", "")):
        try:
            ours = [stack for stack in stacks(account) if "service" in stack.tags]
            groups = [(stack, group) for stack in ours for group in stack.of_type("AWS::Logs::LogGroup")]
        except UnseenError as error:
            print(f"unseen  {account.id}: {error}")
            continue
        for stack, group in groups:
            try:
                call = {"logGroupName": group, "filterPattern": f'"{request}"', **span}
                found = stack.account.one("logs.filter_log_events", **call).get("events", ())
            except UnseenError as error:
                print(f"unseen  {group}: {error}")
                continue
            looked.append(f"{group} ({stack.account.id})")
            rows += [read(each["message"], stack.name, stack.account.id, moment(each["timestamp"])) for each in found]
    span_said = f"from {now - SPAN:%Y-%m-%dT%H:%MZ} to {now:%Y-%m-%dT%H:%MZ}"
    show(request, rows, f"{', '.join(looked) or 'no log group'}, {span_said}")


if __name__ == "__main__":
    try:
        wanted, log = check_request(sys.argv[1]), Path(sys.argv[2])
        show(wanted, [*read_log(wanted, log)], ".local/log, which the last make local wrote")
    except (CheckError, FileNotFoundError) as problem:
        print(f"error: {str(problem).removeprefix('error: ')}", file=sys.stderr)
        sys.exit(2)
