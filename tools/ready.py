"""Says when the local API answers for every service, and what to try; stays until the supervisor ends it."""

import os
import signal
import sys
import time
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException

GIVE_UP_SECONDS = 60
# Name, port, path, statuses. In this order: todo logs an error when a request comes before its table exists. The services
# are asked directly: the API answers 401 for a route that requires a token, whether its service runs or not.
CHECKS = (
    ("DynamoDB", "DYNAMODB_PORT", "/", (404,)),
    ("todo", "TODO_PORT", "/todo", (200,)),
    ("dog-names", "DOGS_PORT", "/dogs", (200,)),
    ("the API", "API_PORT", "/dogs", (200, 401)),
)


def status(port: str, path: str) -> int:
    """The status of the answer; 0 for no answer."""
    with closing(HTTPConnection("127.0.0.1", int(port), timeout=2)) as client, suppress(OSError, HTTPException):
        client.request("GET", path)
        return client.getresponse().status
    return 0


def main() -> None:
    start = time.monotonic()
    for name, variable, path, expected in CHECKS:
        while status(os.environ[variable], path) not in expected:
            if time.monotonic() - start > GIVE_UP_SECONDS:
                sys.exit(f"error: no answer from {name} within {GIVE_UP_SECONDS} s; the lines above say why")
            time.sleep(0.2)
    url = f"http://127.0.0.1:{os.environ['API_PORT']}"
    print(f"ready after {time.monotonic() - start:.1f} s at {url}; Ctrl-C ends it. Try:", flush=True)
    print(f'  curl {url}/dogs\n  curl -d data="walk the dog" {url}/todo\n  curl {url}/todo', flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
