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

MAX_PAGES = 3  # fewer than the burst of the route's throttle


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
    headers = message_from_string(answer)
    try:
        body = json.loads(str(headers.get_payload()))
    except ValueError as error:
        sys.exit(f"error: {url}: expected an HTTP answer with JSON, got {done.stdout[:200]!r} ({error})")
    expect(status_line.split()[1] == str(status), url, status, status_line)
    return headers, body


def dogs(url: str) -> None:
    for path, genders in (("/dogs", ("male", "female")), ("/dogs/males", ("male",)), ("/dogs/females", ("female",))):
        _, dog = curl(200, url + path)
        is_dog = isinstance(dog, dict) and dog.get("name") and dog.get("gender") in genders
        expect(is_dog, url + path, f"a name and a gender of {genders}", dog)


def todos(url: str) -> None:
    headers, todo = curl(201, f"{url}/todo", "-d", "data=walk the dog")
    is_todo = isinstance(todo, dict) and todo.get("data") == "walk the dog" and "id" in todo
    expect(is_todo, f"{url}/todo", "the new todo with its id", todo)
    path, page = f"/todo/{todo['id']}", "/todo"
    expect(headers["location"] == path, f"{url}/todo", f"Location: {path}", headers["location"])
    _, found = curl(200, url + path)
    expect(found == todo, url + path, todo, found)
    for _ in range(MAX_PAGES):
        headers, listed = curl(200, url + page)
        expect(isinstance(listed, list), url + page, "a list of todos", listed)
        if todo in listed:
            return
        following = re.findall(r'<([^>]*)>; rel="next"', headers.get("link", ""))
        expect(following, url + page, f"the new todo {todo['id']} or a next page", listed)
        [page] = following
    print(f"the new todo is not on the first {MAX_PAGES} pages; it was found by its id, so that is no failure")


def main() -> None:
    url = sys.argv[-1].rstrip("/")
    if not re.match(r"https?://[^/]+$", url):
        print(
            f"error: URL is {url!r}, expected a URL like https://abc123.execute-api.us-west-2.amazonaws.com",
            file=sys.stderr,
        )
        sys.exit(2)
    dogs(url)
    todos(url)
    print("every route answered as it should")


if __name__ == "__main__":
    main()
