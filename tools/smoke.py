"""Calls the routes of a deployed or local API with curl: python tools/smoke.py URL. TOKEN may hold a bearer token,
CURL further options of curl, such as --cert and --key.

Of a service that it does not know, it calls the routes of the registry that a GET without parameters reaches.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from email import message_from_string
from email.message import Message
from itertools import chain
from pathlib import Path
from typing import Any


def expect(condition: object, url: str, expected: object, got: object) -> None:
    if not condition:
        sys.exit(f"error: {url}: expected {expected}, got {got!r}")


def curl(status: int, url: str, *arguments: str) -> Message:
    """Run curl, show the command and the answer, which must have the status."""
    token, own = os.environ.get("TOKEN"), shlex.split(os.environ.get("CURL", ""))
    print("$ " + shlex.join(["curl", "-i", *own, *arguments, url]), flush=True)
    # By stdin, so that no list of processes shows the token.
    config = f'header = "Authorization: Bearer {token}"\n' if token else ""
    command = ["curl", "-sSi", "--max-time", "30", "--config", "-", *own, *arguments, url]
    done = subprocess.run(command, input=config, capture_output=True, text=True)  # noqa: S603 - no shell
    if done.returncode:
        hint = "" if own else '; if its clients need a certificate: CURL="--cert FILE --key FILE"'
        sys.exit(f"error: {url}: no answer: {done.stderr.strip()}{hint}")
    print(done.stdout.rstrip() + "\n", flush=True)
    status_line, _, answer = done.stdout.partition("\n")
    expect(status_line.split()[1] == str(status), url, status, status_line)
    return message_from_string(answer)


def curl_json(status: int, url: str, *arguments: str) -> tuple[Message, Any]:
    """The same; headers and JSON of the answer."""
    answer = curl(status, url, *arguments)
    try:
        return answer, json.loads(str(answer.get_payload()))
    except ValueError:
        sys.exit(f"error: {url}: expected JSON, got {answer.get_payload()!r}")


def further_routes(known: set[str]) -> Iterator[tuple[str, int]]:
    """The path and the expected status of each further route."""
    registry = Path(__file__).parent.parent / "global-apigw" / (os.environ.get("SERVICES") or "services.toml")
    services = tomllib.loads(registry.read_text())["services"]
    for route in chain.from_iterable(service["routes"] for service in services.values()):
        method, path = route["key"].split()
        if method == "GET" and "{" not in path and path not in known:
            yield path, 200 if os.environ.get("TOKEN") or route.get("auth", "none") == "none" else 401


def main() -> None:
    url = sys.argv[-1].rstrip("/")
    if not re.match(r"https?://[^/]+$", url):
        print(f"error: URL is {url!r}, expected the URL of an API like https://api.example.com", file=sys.stderr)
        sys.exit(2)
    genders_of = {"/dogs": ("male", "female"), "/dogs/males": ("male",), "/dogs/females": ("female",)}
    for path, genders in genders_of.items():
        _, dog = curl_json(200, url + path)
        is_dog = isinstance(dog, dict) and dog.get("name") and dog.get("gender") in genders
        expect(is_dog, url + path, f"a name and a gender of {genders}", dog)
    todos = f"{url}/todo"
    headers, todo = curl_json(201, todos, "-d", "data=walk the dog")
    is_todo = isinstance(todo, dict) and todo.get("data") == "walk the dog" and "id" in todo
    expect(is_todo, todos, "the new todo with its id", todo)
    path = f"/todo/{todo['id']}"
    expect(headers["location"] == path, todos, f"Location: {path}", headers["location"])
    _, found = curl_json(200, url + path)
    expect(found == todo, url + path, todo, found)
    headers, listed = curl_json(200, todos)
    is_listed = isinstance(listed, list) and (todo in listed or 'rel="next"' in headers.get("link", ""))
    expect(is_listed, todos, f"a list with {todo} or a link to a next page", listed)
    for path, status in further_routes({*genders_of, "/todo"}):
        curl(status, url + path)
    print("every route answered as it should")


if __name__ == "__main__":
    main()
