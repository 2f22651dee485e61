"""Says when every part of the local run answers, and what to try; stays until the supervisor ends it.

`python -m tools.ready NAME=PORT/PATH…`, in the order in which the parts are asked. The registry says what to try.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from typing import Any

from tools import synth

GIVE_UP_SECONDS = 60


def address(port: str | int, name: str = "API") -> str:
    """A part of the local run, in the arguments of curl. Clients of the API may need its only name, and a certificate."""
    api = tomllib.loads(synth.registry())["api"]
    if name != "API" or api.get("default_endpoint", True):
        return f"http://127.0.0.1:{port}"
    named = f"{api['domain']['name']}:{port}"
    if "truststore" in api["domain"]:
        return f"--config global-apigw/.local/authority/curl https://{named}"
    return f"--resolve {named}:127.0.0.1 http://{named}"


def ask(url: str) -> int:
    """The status of the answer, or 0."""
    command = f"curl --silent --noproxy '*' --max-time 2 --output /dev/null --write-out %{{http_code}} {url}"
    done = subprocess.run(shlex.split(command), cwd=synth.ROOT, capture_output=True, text=True)  # noqa: S603 - no shell
    return int(done.stdout or 0)


def answers(url: str) -> bool:
    """Whether there is an answer, and no error of a server."""
    return 0 < ask(url) < 500


def wait(parts: list[str]) -> float:
    """The seconds until all parts answer."""
    start = time.monotonic()
    for part in parts:
        name, _, place = part.partition("=")
        port, slash, path = place.partition("/")
        while not answers(address(port, name) + slash + path):
            if time.monotonic() - start > GIVE_UP_SECONDS:
                sys.exit(f"error: no answer from {name} within {GIVE_UP_SECONDS} s; the lines above say why")
            time.sleep(0.2)
    return time.monotonic() - start


def suggest(services: dict[str, Any], moved: dict[str, str], url: str) -> None:
    """The routes that a GET without parameters reaches, and the services that are not running."""
    for name, service in services.items():
        port = moved.get(str(service["listener_port"]), str(service["listener_port"]))
        if not answers(f"http://127.0.0.1:{port}{service['health_path']}"):
            print(f"  {name} is not running at 127.0.0.1:{port}: its routes answer 503 until it does")
        for route in service["routes"]:
            method, path = route["key"].split()
            if method == "GET" and "{" not in path:
                print(f"  curl {url}{path}" + ("  # with a token: make token" if route.get("auth") == "jwt" else ""))


def main() -> None:
    seconds, url = wait(sys.argv[1:]), address(os.environ["API_PORT"])
    print(f"ready after {seconds:.1f} s at {url.split()[-1]}; Ctrl-C ends it. Try:")
    moved = dict(each.split("=127.0.0.1:") for each in os.environ["ENDPOINTS"].split())
    suggest(tomllib.loads(synth.registry())["services"], moved, url)
    if url.startswith("http"):  # the page sends neither another name nor a certificate
        print(f"  try it in a browser: http://127.0.0.1:{os.environ['DOCS_PORT']}/")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main()
