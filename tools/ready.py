"""Says when the local API answers for every service, and what to try; stays until the supervisor ends it."""

import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

PORTS = ("API_PORT", "DOGS_PORT", "TODO_PORT", "DYNAMODB_PORT")
GIVE_UP_SECONDS = 60


def answers(url: str, expected: tuple[int, ...]) -> bool:
    """Whether `url` gives one of the `expected` statuses."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - a loopback URL of ours
            return answer.status in expected
    except urllib.error.HTTPError as error:
        return error.code in expected
    except OSError:
        return False


def listens(port: str) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", int(port))) == 0


def main() -> None:
    api, dogs, todo, dynamodb = map(os.environ.__getitem__, PORTS)
    url = f"http://127.0.0.1:{api}"
    # In this order: todo logs an error when it is asked before its table is there. The services are asked themselves:
    # before a route that wants a token, the gateway's 401 says nothing of them.
    checks: dict[str, Callable[[], bool]] = {
        "DynamoDB": lambda: listens(dynamodb),
        "todo": lambda: answers(f"http://127.0.0.1:{todo}/todo", (200,)),
        "dog-names": lambda: answers(f"http://127.0.0.1:{dogs}/dogs", (200,)),
        "the API": lambda: answers(f"{url}/dogs", (200, 401)),
    }
    start = time.monotonic()
    for name, check in checks.items():
        while not check():
            if time.monotonic() - start > GIVE_UP_SECONDS:
                sys.exit(f"error: no answer from {name} within {GIVE_UP_SECONDS} s; the lines above say why")
            time.sleep(0.2)
    print(f"ready after {time.monotonic() - start:.1f} s at {url}; Ctrl-C ends it. Try:", flush=True)
    print(f"  curl {url}/dogs", flush=True)
    print(f'  curl -d data="walk the dog" {url}/todo', flush=True)
    print(f"  curl {url}/todo", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
