"""Says when the local API answers for every service, and what to try; stays until the supervisor ends it."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException

GIVE_UP_SECONDS = 60


def listens(port: str) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", int(port))) == 0


def status(port: str, path: str) -> int:
    """The status of the answer; 0 for no answer."""
    with closing(HTTPConnection("127.0.0.1", int(port), timeout=2)) as client, suppress(OSError, HTTPException):
        client.request("GET", path)
        return client.getresponse().status
    return 0


def main() -> None:
    api, dogs, todo, dynamodb = (os.environ[f"{name}_PORT"] for name in ("API", "DOGS", "TODO", "DYNAMODB"))
    # In this order: todo logs an error when a request comes before its table exists. The services are asked directly:
    # the API answers 401 for a route that requires a token, whether its service runs or not.
    checks: dict[str, Callable[[], bool]] = {
        "DynamoDB": lambda: listens(dynamodb),
        "todo": lambda: status(todo, "/todo") == 200,
        "dog-names": lambda: status(dogs, "/dogs") == 200,
        "the API": lambda: status(api, "/dogs") in (200, 401),
    }
    start = time.monotonic()
    for name, is_ready in checks.items():
        while not is_ready():
            if time.monotonic() - start > GIVE_UP_SECONDS:
                sys.exit(f"error: no answer from {name} within {GIVE_UP_SECONDS} s; the lines above say why")
            time.sleep(0.2)
    url = f"http://127.0.0.1:{api}"
    print(f"ready after {time.monotonic() - start:.1f} s at {url}; Ctrl-C ends it. Try:", flush=True)
    print(f'  curl {url}/dogs\n  curl -d data="walk the dog" {url}/todo\n  curl {url}/todo', flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
