"""Measures everything side by side: python -m bench --help."""

import argparse
import json
import shutil
import signal
import sys

from bench.load import Run
from bench.report import README, RESULTS, circumstances, sampled, table
from bench.servers import Failed
from bench.suites import api, dogs, size, times, todos, whole
from tools import pages

SUITES = {"dogs": dogs, "todos": todos, "api": api, "size": size, "times": times, "whole": whole}
BOUND_SECONDS = 8 * 60  # without `whole`


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description="Measure everything side by side.")
    parser.add_argument("--suite", choices=SUITES, action="append", help="default: all but `whole`")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2, help="of load on each case in each round")
    parser.add_argument("--write", action="store_true", help="into bench/results.json and bench/README.md")
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("error: wrk, which makes the load, is not on PATH: apt-get install wrk, or brew install wrk")
    # By SystemExit, so that what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: ended by SIGTERM"))
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"error: not done after {BOUND_SECONDS} s: is the machine busy?"))
    suites = arguments.suite or [name for name in SUITES if name != "whole"]
    signal.alarm(0 if "whole" in suites else BOUND_SECONDS)
    run, figures = Run(arguments.rounds, arguments.seconds), []
    try:
        for suite in suites:
            print(f"measuring: {suite}", file=sys.stderr, flush=True)
            figures += [figure.as_json() for figure in SUITES[suite](run)]
    except Failed as error:
        sys.exit(f"error: {error}")
    cases = {name: {case: sampled(each) for case, each in got.items()} for name, got in run.samples.items()}
    results = {**circumstances(run.seconds), "figures": figures, "cases": cases}
    print(table(results), end="")
    if arguments.write:
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
        README.write_text(pages.page(README, "bench", table(results)))


if __name__ == "__main__":
    main()
