"""Load by wrk, in rounds that visit the cases forwards and backwards in turn."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.servers import OTHER_CPU, ROOT, Failed, Server, on

CONNECTIONS = 32
# As the gateway sends it.
WRK = ["wrk", "-t1", f"-c{CONNECTIONS}", "--latency", "-H", "x-request-id: JKJaXmPLvHcESHA="]
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Case:
    """A path of a server, asked for as the wrk script says; `prepare` runs before each round."""

    server: Server
    path: str = "/dogs"
    script: str = ""
    prepare: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Sample:
    """What a round of a case gave."""

    rps: float
    p99_ms: float
    resident_mb: float


@dataclass(frozen=True)
class Run:
    """How long to measure, and what every case of every suite gave."""

    rounds: int
    seconds: int
    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)

    def measure(self, suite: str, cases: dict[str, Case]) -> list[list[Sample]]:
        """Every case once a round, after a second of warming up."""
        samples: dict[str, list[Sample]] = {name: [] for name in cases}
        for case in cases.values():
            sample(case, 1)
        for number in range(self.rounds):
            for name in list(cases)[:: -1 if number % 2 else 1]:
                samples[name].append(sample(cases[name], self.seconds))
        self.samples[suite] = samples
        return list(samples.values())


def sample(case: Case, seconds: int) -> Sample:
    case.prepare()
    script = ["-s", str(Path(__file__).with_name(case.script))] if case.script else []
    command = [*on(case.server.cpu and OTHER_CPU), *WRK, f"-d{seconds}s", *script, case.server.url + case.path]
    output = subprocess.check_output(command, text=True, timeout=seconds + 30)
    return Sample(*parse(output), case.server.resident_mb())


def p99_at(server: Server, path: str, rate: float, seconds: int) -> float:
    """The 99th percentile in ms of requests that are sent at a rate a second, whether earlier ones are answered or not."""
    how = [
        "--rps",
        f"{rate:.0f}",
        "--concurrency",
        str(CONNECTIONS),
        "--maxSeconds",
        str(seconds),
        "--keepalive",
        "--cores",
        "1",
    ]
    command = ["bench/node_modules/.bin/loadtest", *how, server.url + path]
    output = subprocess.check_output(command, cwd=ROOT, text=True)
    found = re.search(r"Total errors: +0\n(?s:.*) 99% +(\d+) ms", output)
    if not found:
        raise Failed(f"loadtest: expected no errors and a 99th percentile, got {output!r}")
    return float(found[1])


def parse(output: str) -> tuple[float, float]:
    """Requests a second and the 99th percentile in ms; Failed when an answer was missing or an error."""
    if wrong := re.search(r"Non-2xx.*|Socket errors.*", output):
        raise Failed(f"wrk: {wrong.group()}")
    found = re.search(r"99% +([\d.]+)(us|ms|s)\n(?s:.*)Requests/sec: +([\d.]+)", output)
    if not found:
        raise Failed(f"wrk: expected a 99th percentile and a rate, got {output!r}")
    return float(found.group(3)), float(found.group(1)) * MILLISECONDS[found.group(2)]
