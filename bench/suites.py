"""What is compared with what; each suite starts and ends its own servers and yields figures."""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

from bench.load import Case, Run, Sample, p99_at
from bench.registries import FIRST_PORT, services
from bench.report import Figure
from bench.servers import OTHER_CPU, OWN_CPU, ROOT, Server, fetch, free_port, inherited, serve
from tools import synth

BASELINES = str(ROOT / "bench/.local/baselines")
DOG_NAMES = str(ROOT / "ecs-provider/.local/dog-names")


def ratio(what: str, one: list[Sample], other: list[Sample]) -> list[float]:
    """Round by round, so that what slows the machine down for a while slows both."""
    return quotients([getattr(each, what) for each in one], [getattr(each, what) for each in other])


def dogs(run: Run) -> Iterator[Figure]:
    """dog-names beside the least that net/http can do, and beside the shape of the 2021 sample's handler."""
    with (
        serve(BASELINES, "constant", cpu=OWN_CPU) as bare,
        serve(DOG_NAMES, cpu=OWN_CPU, ACCESS_LOG="off") as silent,
        serve(BASELINES, "sample", cpu=OWN_CPU) as old,
        serve(DOG_NAMES, cpu=OWN_CPU) as logging,
    ):
        cases = {"constant": Case(bare), "log off": Case(silent), "sample": Case(old), "log on": Case(logging)}
        constant, off, sample, on = run.measure("dog-names", cases)
    yield Figure("dog-names / 2021 shape, both logging: requests/s", ratio("rps", on, sample), "×", "≥ 1.15")
    yield Figure("dog-names / 2021 shape: p99", ratio("p99_ms", on, sample), "×", "≤ 1")
    yield Figure("dog-names, log off / a constant: requests/s", ratio("rps", off, constant), "×", "≥ 0.9")
    yield Figure("dog-names: memory", [each.resident_mb for each in on], "MB", "≤ 20")


def todos(run: Run) -> Iterator[Figure]:
    """todo under gunicorn beside Flask's development server; then a page of ever longer lists."""
    environ = {"folder": "ec2-provider", "ready": "/healthz", "TABLE_NAME": "todo", "AWS_REGION": "us-west-2"}
    environ |= {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    flask = (".venv/bin/flask", "--app", "todo:create_app", "run", "--port", "{port}")
    operations = {"create": ("/todo", "post.lua"), "read": ("/todo/00000000", ""), "list": ("/todo", "")}
    with serve(BASELINES, "dynamodb", ready="/fill/0") as database:
        environ["AWS_ENDPOINT_URL_DYNAMODB"] = database.url

        def case(server: Server, path: str, script: str = "", size: int = 100) -> Case:
            return Case(server, path, script, lambda: fetch(f"{database.url}/fill/{size}"))

        with (
            serve(".venv/bin/gunicorn", "--config", "todo/gunicorn.conf.py", **environ) as ours,
            serve(*flask, ACCESS_LOG="off", **environ) as development,  # it writes a line a request itself
        ):
            for name, how in operations.items():
                cases = {"gunicorn": case(ours, *how), "development server": case(development, *how)}
                one, other = run.measure(f"todo, {name}", cases)
                yield Figure(f"todo, {name} / Flask alone: requests/s", ratio("rps", one, other), "×", "≥ 2")
                yield Figure(f"todo, {name} / Flask alone: p99", ratio("p99_ms", one, other), "×", "≤ 0.5")
            # At nine tenths of what Flask alone can take, both get the same requests.
            flask_rps = sorted(each.rps for each in run.samples["todo, read"]["development server"])[run.rounds // 2]
            fetch(f"{database.url}/fill/100")
            paced = [
                [p99_at(server, "/todo/00000000", 0.9 * flask_rps, run.seconds + 3) for _ in range(run.rounds)]
                for server in (ours, development)
            ]
            yield Figure("todo, read / Flask alone, at 90 % of its limit: p99", quotients(*paced), "×", "≤ 0.25")
            sizes = {f"{size} todos": case(ours, "/todo", size=size) for size in (100, 10_000, 100_000)}
            few, _, many = run.measure("todo, list growth", sizes)
    yield Figure("todo, a page of 100,000 / of 100: time", ratio("rps", few, many), "×", "≤ 1.3")
    yield Figure("todo: memory of an instance", [each.resident_mb for each in many], "MB", "≤ 300")


def api(run: Run) -> Iterator[Figure]:
    """The local API, its throttle out of the way, beside the service itself and beside a proxy in Python."""
    opened = re.sub(r"rate = \d+, burst = \d+", "rate = 1000000, burst = 1000000", synth.registry())
    with (
        tempfile.TemporaryDirectory() as scratch,
        serve(DOG_NAMES, cpu=OWN_CPU) as direct,
        serve(DOG_NAMES, cpu=OTHER_CPU) as behind,
    ):
        template = Path(scratch, "template.json")
        template.write_text(json.dumps(synth.synthesize("global-apigw", opened)))
        command = [".venv/bin/python", "-m", "local", str(template), "--port", "{port}"]
        command += ["--config", f"{scratch}/envoy.json", "--envoy", ".venv/bin/envoy"]
        command += ["--endpoint", f"8081={behind.url.removeprefix('http://')}"]
        with (
            serve(*command, folder="global-apigw", cpu=OWN_CPU) as envoy,
            serve("bench/.venv/bin/python", "bench/proxy.py", behind.url, cpu=OWN_CPU) as aiohttp,
        ):
            cases = {"direct": Case(direct), "envoy": Case(envoy), "aiohttp": Case(aiohttp)}
            service, ours, proxy = run.measure("local API", cases)
    yield Figure("local API / an aiohttp proxy: requests/s", ratio("rps", ours, proxy), "×", "≥ 3")
    added = [one.p99_ms - other.p99_ms for one, other in zip(ours, service, strict=True)]
    yield Figure("local API: p99 that it adds", added, "ms", "≤ 5")


def seconds(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def size(run: Run) -> Iterator[Figure]:
    """Two services beside fifty, with three routes each: the synth, and the local API on the way to the last of them."""
    with tempfile.TemporaryDirectory() as scratch, serve(DOG_NAMES, cpu=OTHER_CPU) as behind, ExitStack() as stack:
        synths, starts, cases = [], [], {}
        for count in (2, 50):
            synthesis = partial(synth.synthesize, "global-apigw", services(count))
            synths.append([seconds(synthesis) for _ in range(run.rounds)])
            template = Path(scratch, f"{count}.json")
            template.write_text(json.dumps(synthesis()))
            command = [".venv/bin/python", "-m", "local", str(template), "--port", "{port}"]
            command += ["--config", f"{scratch}/envoy-{count}.json", "--envoy", ".venv/bin/envoy"]
            command += ["--endpoint", f"{FIRST_PORT + count - 1}={behind.url.removeprefix('http://')}"]
            start = partial(serve, *command, folder="global-apigw", cpu=OWN_CPU)
            starts.append([seconds(partial(started, start)) for _ in range(run.rounds)])
            cases[f"{count} services"] = Case(stack.enter_context(start()))
        few, many = run.measure("fifty services", cases)
    (_, synth_many), (start_few, start_many) = synths, starts
    yield Figure("50 services / 2: synth", quotients(*reversed(synths)), "×", "≤ 2")
    yield Figure("50 services: synth", synth_many, "s", "≤ 5")
    yield Figure("50 services / 2, local API: requests/s", ratio("rps", many, few), "×", "≥ 0.9")
    yield Figure("50 services / 2, local API: p99", ratio("p99_ms", many, few), "×", "≤ 1.1")
    later = [one - other for one, other in zip(start_many, start_few, strict=True)]
    yield Figure("50 services, local API: answers later than with 2", later, "s", "≤ 1")


def started(start: Callable[[], AbstractContextManager[Server]]) -> None:
    with start():
        pass


def quotients(one: list[float], other: list[float]) -> list[float]:
    return [a / b for a, b in zip(one, other, strict=True)]


def times(run: Run) -> Iterator[Figure]:
    """What a developer waits for."""
    yield Figure("`make local`, warm, to ready", [to_ready() for _ in range(run.rounds)], "s")
    for folder in synth.FOLDERS:
        synthesis = partial(synth.synthesize, folder)
        yield Figure(f"synth of {folder}", [seconds(synthesis) for _ in range(run.rounds)], "s")


def to_ready() -> float:
    """Until a list is answered, which takes the API, the service and its database."""
    start = time.monotonic()
    ports = {name: free_port() for name in ("DOGS_PORT", "TODO_PORT", "DYNAMODB_PORT")}
    with serve("make", "local", ready="/todo", API_PORT="{port}", **ports):
        return time.monotonic() - start


def whole(_: Run) -> Iterator[Figure]:
    """What takes minutes, once; its output goes where ours does not."""
    for target in ("test", "rehearse"):
        make = partial(subprocess.run, ["make", target], cwd=ROOT, env=inherited(), check=True, stdout=sys.stderr)
        yield Figure(f"`make {target}`", [seconds(make)], "s")
