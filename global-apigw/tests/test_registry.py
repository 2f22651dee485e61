"""The registry loads, or says everything that is wrong with it."""

from pathlib import Path

import pytest

from infra.registry import RegistryError, Throttle, load_registry

REGISTRY = (Path(__file__).parent.parent / "services.toml").read_text()
ONE = """
[api]
throttle = { rate = 50, burst = 100 }
[services.dogs]
endpoint_service = "DOGS"
endpoint_port = 8080
listener_port = 8081
health_path = "/healthz"
timeout_seconds = 10
routes = [{ key = "GET /dogs" }]
"""


def test_the_checked_in_registry_holds_both_services() -> None:
    registry = load_registry(REGISTRY)
    assert [(service.name, service.endpoint_service) for service in registry.services] == [
        ("dog-names", "DOGNAME_SERVICE_NAME"),
        ("todo", "TODO_SERVICE_NAME"),
    ]
    assert sorted(route.key for service in registry.services for route in service.routes) == [
        "GET /dogs",
        "GET /dogs/females",
        "GET /dogs/males",
        "GET /todo",
        "GET /todo/{todoId}",
        "POST /todo",
    ]


def test_a_route_without_a_throttle_of_its_own_has_the_apis() -> None:
    [service] = load_registry(ONE).services
    assert service.routes[0].throttle == Throttle(50, 100)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[api]", "[ap]", "registry: ap is not a known key"),
        ("[services.dogs]", "[service.dogs]", "registry: service is not a known key"),
        ("[services.dogs]", "[services.Dogs]", "services.Dogs: the name must be up to 30 lower-case letters"),
        ("[services.dogs]", "[services.constructor]", "services.constructor: the name must be up to 30"),
        ("rate = 50", "rate = 0", "api.throttle: rate is 0, expected requests per second above 0"),
        ("burst = 100", "burst = 1.5", "api.throttle: burst is 1.5, expected a number of requests above 0"),
        ("throttle = {", "throtle = {", "api: throttle is missing, expected { rate"),
        (
            '"DOGS"',
            '"dogs"',
            "services.dogs: endpoint_service is 'dogs', expected an environment variable's name",
        ),
        ("endpoint_port = 8080", "endpoint_port = 0", "services.dogs: endpoint_port is 0, expected a port"),
        (
            "endpoint_port = 8080",
            "endpoint_port = true",
            "services.dogs: endpoint_port is True, expected a port",
        ),
        ("listener_port = 8081", "", "services.dogs: listener_port is missing"),
        ('"/healthz"', '"healthz"', "services.dogs: health_path is 'healthz', expected a path"),
        ("seconds = 10", "seconds = 31", "services.dogs: timeout_seconds is 31, expected 1 to 30"),
        ("seconds = 10", "seconds = 10\ntimout = 3", "services.dogs: timout is not a known key"),
        (
            '[{ key = "GET /dogs" }]',
            "[]",
            "services.dogs: routes is [], expected a list with at least one route",
        ),
        ("GET /dogs", "GET dogs", "services.dogs.routes[0]: key is 'GET dogs', expected \"METHOD /path\""),
        ("GET /dogs", "ANY /dogs", "services.dogs.routes[0]: key is 'ANY /dogs'"),
        ("GET /dogs", "GET /{proxy+}", "services.dogs.routes[0]: key is 'GET /{proxy+}'"),
        ('s" }', 's", auth = "jwt" }', 'services.dogs.routes[0] (GET /dogs): auth = "jwt" needs [api.jwt]'),
        (
            's" }',
            's", auth = "key" }',
            "services.dogs.routes[0] (GET /dogs): auth is 'key', expected one of none, jwt",
        ),
        ('s" }', 's", scopes = ["a"] }', 'services.dogs.routes[0] (GET /dogs): scopes need auth = "jwt"'),
        ('s" }', 's", header = "x" }', "services.dogs.routes[0] (GET /dogs): header is not a known key"),
        (
            's" }]',
            's" }, { key = "GET /dogs" }]',
            "services.dogs: route 'GET /dogs' overlaps with 'GET /dogs'",
        ),
        (
            's" }]',
            's/{a}" }, { key = "GET /dogs/{b}" }]',
            "services.dogs: route 'GET /dogs/{b}' overlaps with",
        ),
        ("[services.dogs]", '[api.jwt]\nissuer = "https://i"\n[services.dogs]', "api.jwt: audience is empty"),
        ("[services.dogs]", '[api.jwt]\naudience = ["a"]\n[services.dogs]', "api.jwt: issuer is missing"),
        ("[api]", '[api]\ncors_origins = "*"', "api: cors_origins is '*', expected a list of origins"),
        ("[api]", "[api", "the registry is not TOML"),
    ],
)
def test_fails_when_an_entry_is_wrong_and_names_entry_and_key(old: str, new: str, message: str) -> None:
    assert old in ONE
    with pytest.raises(RegistryError) as error:
        load_registry(ONE.replace(old, new))
    assert f"error: {message}" in str(error.value)


def test_fails_with_everything_that_is_wrong_at_once() -> None:
    with pytest.raises(RegistryError) as error:
        load_registry(
            ONE.replace("rate = 50", "rate = 0")
            .replace("seconds = 10", "seconds = 31")
            .replace("[api]", "[api]\nx = 1")
        )
    assert len(str(error.value).splitlines()) == 3


def test_fails_when_two_services_share_a_listener_port() -> None:
    entry = ONE[ONE.index("[services") :].replace("services.dogs", "services.cats").replace("/dogs", "/cats")
    with pytest.raises(
        RegistryError, match=r"services\.cats: listener_port 8081 belongs to another service too"
    ):
        load_registry(ONE + entry)


@pytest.mark.parametrize(
    ("count", "routes", "message"),
    [(51, 1, "51 entries, the shared load balancer takes 50"), (1, 301, "301 routes")],
)
def test_fails_when_a_quota_is_exceeded(count: int, routes: int, message: str) -> None:
    head, entry = ONE.split("[services.dogs]")
    for number in range(count):
        keys = ", ".join(f'{{ key = "GET /s{number}/{route}" }}' for route in range(routes))
        head += f"[services.s{number}]" + entry.replace("8081", str(9000 + number)).replace(
            '{ key = "GET /dogs" }', keys
        )
    with pytest.raises(RegistryError, match=message):
        load_registry(head)
