"""Histories of a registry: up to ten changes, with failures, each as `make deploy` lets it pass, under one invariant.

HISTORIES=500 tries that many. What was found by more than the usual ones stays here as an example.
"""

import copy
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from .environment import EC2, ECS
from .in_process import SECURED, Registry, Synth, Team, accounts, provider

pytestmark = pytest.mark.slow
BASE: Registry = {"api": SECURED["api"], "services": copy.deepcopy(SECURED["services"])}
for service in BASE["services"].values():
    del service["routes"][2:]
KEYS = [f"{method} /{path}" for path in ("a", "b/{id}") for method in ("GET", "POST")]
VARIABLES = ["DOGNAME_SERVICE_NAME", "TODO_SERVICE_NAME", "THIRD", "FOURTH"]
AUTHORIZATIONS: list[dict[str, Any]] = [
    {},
    {"auth": "jwt"},
    {"auth": "jwt", "scopes": ["s"]},
    {"auth": "jwt", "scopes": ["s", "t"]},
]
ISSUERS = ["https://issuer.example.com/", "https://other.example.com/"]
KINDS = [
    "add route", "remove route", "move route", "add service", "remove service", "re-point", "rename", "move to a new service",
    "listener port", "endpoint port", "health path", "timeout", "throttle", "throttle of all", "authorization", "issuer", "CORS",
]  # fmt: skip
OVER_TLS = {"endpoint_port": 8443, "tls": {"server_name": "any.example.com"}}


class History:
    """Applies changes to a registry. Ports and names of services are never used again, as the registry asks for it."""

    def __init__(self) -> None:
        self.registry, self.number = BASE, 0

    def fresh(self, service: dict[str, Any], name: str = "") -> tuple[str, dict[str, Any]]:
        self.number += 1
        return name or f"s{self.number}", {**service, "listener_port": 9000 + self.number}

    def changed(self, kind: str, a: int, b: int) -> Registry | None:  # noqa: C901 - a list of the kinds
        """The registry after a change of this kind; `a` and `b` choose of what and to what. None where there is nothing."""
        registry = copy.deepcopy(self.registry)
        services: dict[str, Any] = registry["services"]
        name = sorted(services)[a % len(services)]
        service = services[name]
        routes = [(owner, route) for owner in services.values() for route in owner["routes"]]
        owner, route = routes[a % len(routes)] if routes else (None, None)
        unused = [key for key in KEYS if key not in [route["key"] for _, route in routes]]
        variable = VARIABLES[b % len(VARIABLES)]
        new = {**BASE["services"]["todo"], "endpoint_service": variable, "routes": []}
        if kind == "add route" and unused:
            throttle = {"throttle": {"rate": 1 + b, "burst": 1}} if b % 2 else {}
            service["routes"].append({"key": unused[b % len(unused)], **throttle, **AUTHORIZATIONS[b % 4]})
        elif kind == "remove route" and owner and len(routes) > 1:
            owner["routes"].remove(route)
        elif kind == "move route" and owner and owner is not service:
            owner["routes"].remove(route)
            service["routes"].append(route)
        elif kind == "add service" and len(services) < 4:
            name, service = self.fresh(new)
            services[name] = service | ({"routes": [{"key": unused[0]}]} if b % 2 and unused else {})
        elif kind == "remove service" and len(services) > 1:
            del services[name]
        elif kind == "re-point":
            service["endpoint_service"] = variable
        elif kind == "rename":
            services[self.fresh(service)[0]] = services.pop(name)
        elif kind == "move to a new service" and owner and len(services) < 4:
            owner["routes"].remove(route)
            name, service = self.fresh(new)
            services[name] = service | {"routes": [route]}
        elif kind == "listener port":
            _, services[name] = self.fresh(service, name)
        elif kind == "endpoint port":
            service.pop("tls", None)
            service |= ({"endpoint_port": 8080}, {"endpoint_port": 8081}, OVER_TLS)[b % 3]
        elif kind == "health path":
            service["health_path"] = f"/health{b % 3}"
        elif kind == "timeout":
            service["timeout_seconds"] = 5 + b % 5
        elif kind == "throttle" and route:
            route.update(throttle={"rate": 1 + b, "burst": 2 + a}) if b % 3 else route.pop("throttle", None)
        elif kind == "throttle of all":
            registry["api"]["throttle"] = {"rate": 40 + b, "burst": 80 + a}
        elif kind == "authorization" and route:
            for key in ("auth", "scopes"):
                route.pop(key, None)
            route.update(AUTHORIZATIONS[b % 4])
        elif kind == "issuer":
            registry["api"]["jwt"] = {"issuer": ISSUERS[b % 2], "audience": ["todo-api"]}
        elif kind == "CORS":
            registry["api"]["cors_origins"] = [f"https://app{n}.example.com" for n in range(b % 3)]
        return registry if registry != self.registry else None

    def in_three_deploys(self, goal: Registry, guarded: set[str]) -> list[Registry]:
        """The way that `make diff` names: new entries without routes, the routes to them, the old entries away."""
        before, after = self.registry["services"], goal["services"]
        ports = {service["listener_port"] for service in before.values()}
        entries = {}
        for name, service in after.items():
            if name not in guarded or (name not in before and service["listener_port"] not in ports):
                entries[name] = service
            else:
                entries |= [self.fresh(service, "" if name in before else name)]
        new = {name: {**entries[name], "routes": []} for name in entries.keys() - before.keys()}
        old = {name: {**before[name], "routes": []} for name in before.keys() - entries.keys()}
        return [
            {**self.registry, "services": before | new},
            {**goal, "services": old | entries},
            {**goal, "services": entries},
        ]


CHANGE = st.tuples(st.sampled_from(KINDS), st.integers(0, 11), st.integers(0, 11))
FAILURE = st.none() | st.tuples(st.integers(0, 15), st.sampled_from(["before", "after"]))
HISTORY = st.lists(st.tuples(CHANGE, FAILURE), min_size=1, max_size=10)


@pytest.fixture(scope="module")
def team(synth: dict[str, Synth]) -> Iterator[Team]:
    with accounts():
        yield Team(synth["global-apigw"], {name: provider(ECS if name == VARIABLES[0] else EC2) for name in VARIABLES})


@settings(
    max_examples=int(os.environ.get("HISTORIES", "50")), derandomize=True, database=None, deadline=None,
    suppress_health_check=[*HealthCheck], phases=[Phase.explicit, Phase.generate],
)  # fmt: skip
@given(HISTORY)
def test_every_route_stays_in_order_through_every_history(team: Team, changes: list[Any]) -> None:
    history = History()
    team.begin(BASE)
    for change, failure in changes:
        goal = history.changed(*change)
        if goal is None:
            continue
        note(f"{change} {failure}")
        ways = [goal]
        guarded = {each["subject"] for each in team.changes(goal) if each["guard"]} & goal["services"].keys()
        if guarded:
            ways = history.in_three_deploys(goal, guarded)
        for registry in ways:
            told = team.changes(registry)
            assert not [each for each in told if each["guard"] and each["subject"] in registry["services"]]
            if failure:
                team.deploy(registry, failure)
            done = team.deploy(registry)
            assert team.now == registry, done.reasons
            history.registry = registry
