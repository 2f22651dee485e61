"""The curl sequence that shows a deployed or local API at work: python tools/smoke.py URL."""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

MAX_PAGES = 3  # fewer than the burst of the route's throttle


class StepFailed(Exception):
    """An answer that is not what the API promises."""


@dataclass(frozen=True)
class Answer:
    """One HTTP answer: `headers` by lower-case name, `body` parsed as JSON."""

    status: int
    headers: dict[str, str]
    body: Any


def curl(url: str, *arguments: str) -> Answer:
    """Run curl, show the command and its answer; the bearer token, if any, goes by stdin and is not shown."""
    print("$ " + shlex.join(["curl", "-i", *arguments, url]), flush=True)
    token = os.environ.get("TOKEN")
    config = f'header = "Authorization: Bearer {token}"\n' if token else ""
    command = ["curl", "-sSi", "--max-time", "30", "--config", "-", *arguments, url]
    done = subprocess.run(command, input=config, capture_output=True, text=True)  # noqa: S603 - no shell
    if done.returncode:
        raise StepFailed(f"no answer: {done.stderr.strip()}")
    print(done.stdout.rstrip() + "\n", flush=True)
    head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
    status_line, *lines = head.split("\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    try:
        return Answer(int(status_line.split()[1]), headers, json.loads(body))
    except (IndexError, ValueError) as error:
        raise StepFailed(f"expected an HTTP answer with JSON, got {done.stdout[:200]!r} ({error})") from None


def expect(answer: Answer, status: int, condition: bool, shape: str) -> None:
    if answer.status != status:
        raise StepFailed(f"expected {status}, got {answer.status}")
    if not condition:
        raise StepFailed(f"expected {shape}, got {answer.body!r}")


def dogs(url: str) -> None:
    for path, genders in (("/dogs", ("male", "female")), ("/dogs/males", ("male",)), ("/dogs/females", ("female",))):
        answer = curl(url + path)
        dog = answer.body if isinstance(answer.body, dict) else {}
        expect(answer, 200, bool(dog.get("name")) and dog.get("gender") in genders, f"a name and a gender of {genders}")


def todos(url: str) -> None:
    answer = curl(f"{url}/todo", "-d", "data=walk the dog")
    todo = answer.body if isinstance(answer.body, dict) else {}
    expect(answer, 201, todo.get("data") == "walk the dog" and "id" in todo, "the new todo with its id")
    location = answer.headers.get("location", "")
    expect(answer, 201, location == f"/todo/{todo['id']}", f"Location: /todo/{todo['id']}, not {location!r}")
    answer = curl(url + location)
    expect(answer, 200, answer.body == todo, f"{todo}")
    page = "/todo"
    for _ in range(MAX_PAGES):
        answer = curl(url + page)
        expect(answer, 200, isinstance(answer.body, list), "a list of todos")
        if todo in answer.body:
            return
        following = re.search(r'<([^>]*)>; rel="next"', answer.headers.get("link", ""))
        if not following:
            raise StepFailed(f"the new todo {todo['id']} is on no page")
        page = following.group(1)
    print(f"the new todo is not on the first {MAX_PAGES} pages; it was found by its id, so that is no failure")


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Try each route of the API; TOKEN holds a bearer token, if it needs one."
    )
    parser.add_argument("url", help="the API's URL, for example http://127.0.0.1:8080")
    url = parser.parse_args().url.rstrip("/")
    if not re.match(r"https?://[^/]+$", url):
        parser.error(f"URL is {url!r}, expected something like https://abc123.execute-api.us-west-2.amazonaws.com")
    for step in (dogs, todos):
        try:
            step(url)
        except StepFailed as error:
            sys.exit(f"error: {step.__name__}: {error}")
    print("every route answered as it should")


if __name__ == "__main__":
    main()
