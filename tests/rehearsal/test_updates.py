"""Updates of the three stacks, each there and back again, read back through the accounts' APIs, and failures at every step."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from .environment import EC2, ECS
from .in_process import OPEN, SECURED, Registry, Synth, Team, accounts, provider

pytestmark = pytest.mark.slow
CATS = {
    "endpoint_service": "CATS",
    "endpoint_port": 8080,
    "listener_port": 8083,
    "health_path": "/",
    "timeout_seconds": 5,
}
JWT = {"issuer": "https://other.example.com/", "audience": ["todo-api"]}
TODO_ID = {"key": "GET /todo/{todoId}"}
# What is changed in a registry: the path of a key and its value; "+" adds to a list, None removes.
CHANGES: dict[str, tuple[Registry, dict[str, Any]]] = {
    "a route": (OPEN, {"services.todo.routes.+": {"key": "GET /todo/old", "throttle": {"rate": 1, "burst": 1}}}),
    "a route of another service": (OPEN, {"services.todo.routes.2": None, "services.dog-names.routes.+": TODO_ID}),
    "a service": (OPEN, {"services.cats": {**CATS, "routes": [{"key": "GET /cats"}]}}),
    "a service without routes": (OPEN, {"services.cats": {**CATS, "routes": []}}),
    "the throttle of a route": (OPEN, {"services.todo.routes.2.throttle": {"rate": 7, "burst": 9}}),
    "no throttle of a route": (OPEN, {"services.todo.routes.1.throttle": None}),
    "the throttle of all others": (OPEN, {"api.throttle": {"rate": 5, "burst": 6}}),
    "the time for an answer": (OPEN, {"services.todo.timeout_seconds": 12}),
    "the path of health checks": (OPEN, {"services.todo.health_path": "/ready"}),
    "the port of a listener": (OPEN, {"services.todo.listener_port": 8099}),
    "CORS": (OPEN, {"api.cors_origins": ["https://app.example.com"]}),
    "tokens": (OPEN, {"api.jwt": JWT, "services.dog-names.routes.2.auth": "jwt"}),
    "no tokens": (SECURED, {"services.todo.routes.0": {"key": "POST /todo"}}),
    "another issuer": (SECURED, {"api.jwt": JWT}),
    "more scopes": (SECURED, {"services.todo.routes.0.scopes": ["todo.write", "admin"]}),
    "no scopes": (SECURED, {"services.todo.routes.0.scopes": []}),
}


def edited(registry: Registry, changes: dict[str, Any]) -> Registry:
    registry = copy.deepcopy(registry)
    for path, value in changes.items():
        *parts, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        place: Any = registry
        for part in parts:
            place = place[part]
        if last == "+":
            place.append(value)
        elif value is None:
            del place[last]
        else:
            place[last] = value
    return registry


@pytest.fixture(scope="module")
def names(synth: dict[str, Synth]) -> Iterator[dict[str, str]]:
    """The accounts, with an endpoint service for each variable."""
    with accounts():
        yield {
            "DOGNAME_SERVICE_NAME": provider(ECS), "TODO_SERVICE_NAME": provider(EC2), "CATS": provider(EC2),
            "OTHER": provider(EC2),
        }  # fmt: skip


@pytest.fixture(scope="module")
def team(synth: dict[str, Synth], names: dict[str, str]) -> Team:
    return Team(synth["global-apigw"], names)


@pytest.mark.parametrize("name", CHANGES)
def test_no_route_is_out_of_order_while_a_deploy_changes(team: Team, name: str) -> None:
    before, changes = CHANGES[name]
    team.deploy(before)
    for registry in (edited(before, changes), before):
        done = team.deploy(registry)
        assert done.status == "UPDATE_COMPLETE", done.reasons
        verbs = [step.split()[0] == "DELETE" for step in done.steps]
        assert verbs == sorted(verbs)  # deletions come last


# A route of one service goes to another, whose endpoint is new too; and everything else that a registry can say.
MANY = edited(
    SECURED,
    {
        "services.cats": {**CATS, "routes": [{"key": "GET /cats", "throttle": {"rate": 1, "burst": 1}}]},
        "services.todo.routes.2": None,
        "services.dog-names.routes.+": TODO_ID,
        "services.todo.timeout_seconds": 12,
    },
)


def test_a_failure_at_any_step_is_rolled_back_and_the_next_deploy_goes_through(team: Team) -> None:
    team.deploy(OPEN)
    steps = len(team.deploy(MANY).steps)
    team.deploy(OPEN)
    for number in range(steps):
        when = ("before", "after")[number % 2]  # AWS has not done it, or has and CloudFormation does not know
        done = team.deploy(MANY, fail=(number, when))
        if done.steps[number].startswith("DELETE"):  # it is tried again
            assert done.status == "UPDATE_COMPLETE"
        else:
            reasons = [f"injected {when} {done.steps[number]}"]
            assert (done.status, done.reasons) == ("UPDATE_ROLLBACK_COMPLETE", reasons)
            assert team.deploy(MANY).status == "UPDATE_COMPLETE"
        assert team.deploy(OPEN).status == "UPDATE_COMPLETE"
