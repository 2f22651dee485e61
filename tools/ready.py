"""Says when the local API answers for every service, and what to try; stays until the supervisor ends it."""

import os
import signal
import sys
import time
import urllib.error
import urllib.request

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


def main() -> None:
    at = {name: f"http://127.0.0.1:{os.environ[name]}" for name in ("API_PORT", "DOGS_PORT", "TODO_PORT")}
    url = at["API_PORT"]
    # The services are asked themselves: before a route that wants a token, the gateway's 401 says nothing of them.
    waiting = {
        "dog-names": (f"{at['DOGS_PORT']}/dogs", (200,)),
        "todo": (f"{at['TODO_PORT']}/todo", (200,)),
        "the API": (f"{url}/dogs", (200, 401)),
    }
    start = time.monotonic()
    while waiting := {name: check for name, check in waiting.items() if not answers(*check)}:
        if time.monotonic() - start > GIVE_UP_SECONDS:
            sys.exit(
                f"error: no answer from {', '.join(waiting)} within {GIVE_UP_SECONDS} s; the lines above say why"
            )
        time.sleep(0.2)
    print(f"ready after {time.monotonic() - start:.1f} s at {url}; Ctrl-C ends it. Try:", flush=True)
    print(f"  curl {url}/dogs", flush=True)
    print(f'  curl -d data="walk the dog" {url}/todo', flush=True)
    print(f"  curl {url}/todo", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
