"""A Network Load Balancer on loopback that takes its targets out as slowly as AWS does, in SCALE times shorter seconds."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import closing, suppress
from itertools import chain, count
from math import inf
from threading import Thread
from typing import Any, Self

from tests.processes import free_port

SCALE = 10
# New connections still come for so long: aws/containers-roadmap #470, kubernetes-sigs/aws-load-balancer-controller #2366.
AFTER_DEREGISTRATION, AFTER_UNHEALTHY = 120, 40


class LoadBalancer:
    """Forwards connections to its targets, each a port, as the properties of a target group say; it never tries twice."""

    def __init__(self, group: Mapping[str, Any]) -> None:
        attributes = {each["Key"]: each["Value"] for each in group["TargetGroupAttributes"]}
        self.deregistration_delay = int(attributes["deregistration_delay.timeout_seconds"]) / SCALE
        self.cuts = attributes["target_health_state.unhealthy.connection_termination.enabled"] == "true"
        self.interval = group["HealthCheckIntervalSeconds"] / SCALE
        self.path, self.threshold = group["HealthCheckPath"], group["UnhealthyThresholdCount"]
        self.until: dict[int, float] = {}  # the moment up to which a target gets new connections
        self.flows = defaultdict[int, list[asyncio.StreamWriter]](list)
        self.opened, self.turn = Counter[int](), count()
        self.port, self.loop = free_port(), asyncio.new_event_loop()

    def register(self, target: int) -> None:
        self.until[target] = inf

    def deregister(self, target: int) -> None:
        self._take_out(target, AFTER_DEREGISTRATION)

    def _take_out(self, target: int, seconds: float) -> None:
        self.until[target] = min(self.until[target], time.monotonic() + seconds / SCALE)

    def __enter__(self) -> Self:
        self.thread = Thread(target=self.loop.run_until_complete, args=[self._serve()])
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.checks.cancel)
        self.thread.join()
        self.loop.close()

    async def _serve(self) -> None:
        self.checks = asyncio.create_task(self._check())
        server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)
        with suppress(asyncio.CancelledError):
            await self.checks
        server.close()
        for flow in chain(*self.flows.values()):
            flow.transport.abort()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

    async def _forward(self, source: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        now = time.monotonic()
        targets = [target for target, until in self.until.items() if now < until] or [*self.until]
        target = targets[next(self.turn) % len(targets)]
        self.opened[target] += 1
        try:
            answers, to = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            back.transport.abort()  # passes the target's refusal on
            return
        self.flows[target] += [back, to]
        await asyncio.gather(_copy(source, to), _copy(answers, back))
        for flow in (back, to):
            self.flows[target].remove(flow)
            flow.close()

    async def _check(self) -> None:
        failures = Counter[int]()
        while True:
            await asyncio.sleep(self.interval)
            for target in [*self.until]:
                failures[target] = 0 if await self._healthy(target) else failures[target] + 1
                if failures[target] == self.threshold:
                    self._take_out(target, AFTER_UNHEALTHY)
                    for flow in self.flows[target] if self.cuts else ():
                        flow.transport.abort()

    async def _healthy(self, target: int) -> bool:
        with suppress(OSError):
            answer, question = await asyncio.open_connection("127.0.0.1", target)
            with closing(question):
                question.write(f"GET {self.path} HTTP/1.1\r\nHost: nlb\r\nConnection: close\r\n\r\n".encode())
                return b" 200 " in await answer.readline()
        return False


async def _copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(1 << 16):
            to.write(data)
            await to.drain()
        to.write_eof()
    except OSError:
        to.transport.abort()
