"""Says when the local API answers for every service, and what to try; stays until the supervisor ends it."""

import os
import signal
import sys
import time
import urllib.error
import urllib.request

PATHS = ("/dogs", "/todo")
GIVE_UP_SECONDS = 60


def answers(url: str) -> bool:
    """Whether `url` gives a 200 or asks for a token, which the gateway does before it knows its backend."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - a loopback URL of ours
            return True
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False


def main() -> None:
    url = f"http://127.0.0.1:{os.environ['API_PORT']}"
    start = time.monotonic()
    waiting = list(PATHS)
    while waiting := [path for path in waiting if not answers(url + path)]:
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
