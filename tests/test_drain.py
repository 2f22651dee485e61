"""A target that is replaced or stopped fails no request, though the load balancer goes on opening connections to it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from threading import Event

import pytest

from tests import processes
from tests.load_balancer import SCALE, LoadBalancer
from tests.processes import BOUND_SECONDS, Part, connect, running, whole_path
from tests.test_contracts import DRAIN
from tests.test_faults import PAUSE_SECONDS, Load, ask
from tools.template import Template

pytestmark = pytest.mark.slow
IDLE_SECONDS = 6  # in which the health checks take out a target that drains, and it has not ended yet


class Service:
    """Two targets behind their load balancer. They drain as long as the source says, in the load balancer's seconds."""

    def __init__(
        self, stack: ExitStack, template: Template, drain: float, path: str, create: Callable[[], Part]
    ) -> None:
        [group] = template.of_type("AWS::ElasticLoadBalancingV2::TargetGroup")
        self.balancer = stack.enter_context(LoadBalancer(group.properties))
        self.drain, self.path, self.create, self.stack = int(drain) // SCALE, path, create, stack
        self.targets = [self.launch(), self.launch()]

    def launch(self) -> Part:
        target = self.create()
        target.environ["DRAIN_SECONDS"] = str(self.drain)
        self.stack.enter_context(running(target))
        self.balancer.register(target.port)
        return target

    def roll(self) -> None:
        """As ECS and Auto Scaling replace targets."""
        for target in self.targets:
            self.launch()
            self.balancer.deregister(target.port)
            opened = self.balancer.opened[target.port]
            time.sleep(self.balancer.deregistration_delay)
            self.stop(target, opened)

    def stop_one(self) -> None:
        """As `systemctl stop` does: the target stays registered, only the health checks notice."""
        self.stop(self.targets[0], self.balancer.opened[self.targets[0].port])

    def stop(self, target: Part, opened: int) -> None:
        target.process.terminate()
        assert target.process.wait(BOUND_SECONDS) == 0
        time.sleep(1)  # for a connection that comes too late
        assert self.balancer.opened[target.port] > opened, "the load balancer opened no more connections"

    def ask(self, pause: float, close: bool, stop: Event) -> None:
        """A client that pauses between two requests, and closes its connection or keeps it."""
        with connect(self.balancer) as client:
            while not stop.is_set():
                assert ask(client, f"GET {self.path}", self.path).layer == "ok"
                if close:
                    client.close()
                stop.wait(pause)


@pytest.mark.parametrize("change", [Service.roll, Service.stop_one], ids=["roll", "lone stop"])
def test_a_stop_fails_no_request(
    templates: dict[str, Template], change: Callable[[Service], None], tmp_path: Path
) -> None:
    with whole_path(tmp_path) as whole, ExitStack() as stack, ThreadPoolExecutor(30) as pool:
        ways = {
            "ecs-provider": ("/dogs", lambda: processes.dogs(tmp_path)),
            "ec2-provider": ("/todo?limit=1", lambda: processes.todo(tmp_path, whole.dynamodb)),
        }
        services = [Service(stack, templates[folder], DRAIN[folder], *way) for folder, way in ways.items()]
        api = processes.api(tmp_path, *(service.balancer for service in services))
        stack.enter_context(running(api))
        kinds = [(PAUSE_SECONDS, True), (PAUSE_SECONDS, False), *[(IDLE_SECONDS, False)] * 4]
        stop = Event()
        clients = [pool.submit(each.ask, *kind, stop) for each, kind in product(services, kinds)]
        with Load(api) as load:
            changes = [pool.submit(change, each) for each in services]
            wait(changes)
        stop.set()
        for future in (*clients, *changes):
            future.result()
        assert not load.refusals()
        load.assert_nothing_lost_or_doubled(api)
