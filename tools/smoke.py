"""Calls each route of a deployed or local API with curl: python tools/smoke.py URL. TOKEN may hold a bearer token."""

import json
import os
import re
import shlex
import subprocess
import sys
from email import message_from_string
from email.message import Message
from typing import Any


def expect(condition: object, url: str, expected: object, got: object) -> None:
    if not condition:
        sys.exit(f"error: {url}: expected {expected}, got {got!r}")


def curl(status: int, url: str, *arguments: str) -> tuple[Message, Any]:
    """Run curl, show the command and the answer; the headers and the JSON of an answer that has the status."""
    print("$ " + shlex.join(["curl", "-i", *arguments, url]), flush=True)
    token = os.environ.get("TOKEN")
    # By stdin, so that no list of processes shows the token.
    config = f'header = "Authorization: Bearer {token}"\n' if token else ""
    command = ["curl", "-sSi", "--max-time", "30", "--config", "-", *arguments, url]
    done = subprocess.run(command, input=config, capture_output=True, text=True)  # noqa: S603 - no shell
    if done.returncode:
        sys.exit(f"error: {url}: no answer: {done.stderr.strip()}")
    print(done.stdout.rstrip() + "\n", flush=True)
    status_line, _, answer = done.stdout.partition("\n")
    expect(status_line.split()[1] == str(status), url, status, status_line)
    headers = message_from_string(answer)
    try:
        return headers, json.loads(str(headers.get_payload()))
    except ValueError:
        sys.exit(f"error: {url}: expected JSON, got {headers.get_payload()!r}")


def main() -> None:
    url = sys.argv[-1].rstrip("/")
    if not re.match(r"https?://[^/]+$", url):
        print(f"error: URL is {url!r}, expected the URL of an API like https://api.example.com", file=sys.stderr)
        sys.exit(2)
    for path, genders in (("/dogs", ("male", "female")), ("/dogs/males", ("male",)), ("/dogs/females", ("female",))):
        _, dog = curl(200, url + path)
        is_dog = isinstance(dog, dict) and dog.get("name") and dog.get("gender") in genders
        expect(is_dog, url + path, f"a name and a gender of {genders}", dog)
    todos = f"{url}/todo"
    headers, todo = curl(201, todos, "-d", "data=walk the dog")
    is_todo = isinstance(todo, dict) and todo.get("data") == "walk the dog" and "id" in todo
    expect(is_todo, todos, "the new todo with its id", todo)
    path = f"/todo/{todo['id']}"
    expect(headers["location"] == path, todos, f"Location: {path}", headers["location"])
    _, found = curl(200, url + path)
    expect(found == todo, url + path, todo, found)
    headers, listed = curl(200, todos)
    is_listed = isinstance(listed, list) and (todo in listed or 'rel="next"' in headers.get("link", ""))
    expect(is_listed, todos, f"a list with {todo} or a link to a next page", listed)
    print("every route answered as it should")


if __name__ == "__main__":
    main()
