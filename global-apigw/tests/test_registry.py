"""The registry loads, or says everything that is wrong with it."""

import json
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it has no types

from infra.registry import Api, Registry, RegistryError, Route, Throttle, load_registry

FOLDER = Path(__file__).parent.parent
REGISTRY = (FOLDER / "services.toml").read_text()
SCHEMA = json.loads((FOLDER / "services.schema.json").read_text())
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
    assert [(name, service.endpoint_service) for name, service in registry.services.items()] == [
        ("dog-names", "DOGNAME_SERVICE_NAME"),
        ("todo", "TODO_SERVICE_NAME"),
    ]
    assert sorted(route.key for service in registry.services.values() for route in service.routes) == [
        "GET /dogs",
        "GET /dogs/females",
        "GET /dogs/males",
        "GET /todo",
        "GET /todo/{todoId}",
        "POST /todo",
    ]


def test_what_a_registry_does_not_say_has_its_default() -> None:
    registry = load_registry(ONE)
    assert registry.api == Api(throttle=Throttle(rate=50, burst=100), jwt=None, cors_origins=())
    [route] = registry.services["dogs"].routes
    assert route == Route(key="GET /dogs", throttle=None, auth="none", scopes=())


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
        ('"DOGS"', '"dogs"', "services.dogs: endpoint_service is 'dogs', expected an environment variable's name"),
        ("endpoint_port = 8080", "endpoint_port = 0", "services.dogs: endpoint_port is 0, expected a port"),
        ("endpoint_port = 8080", "endpoint_port = true", "services.dogs: endpoint_port is True, expected a port"),
        ("listener_port = 8081", "", "services.dogs: listener_port is missing"),
        ('"/healthz"', '"healthz"', "services.dogs: health_path is 'healthz', expected a path"),
        ("seconds = 10", "seconds = 31", "services.dogs: timeout_seconds is 31, expected 1 to 30"),
        ("seconds = 10", "seconds = 10\ntimout = 3", "services.dogs: timout is not a known key"),
        ('[{ key = "GET /dogs" }]', "[]", "services.dogs: routes is [], expected a list with at least one route"),
        ("GET /dogs", "GET dogs", "services.dogs.routes[0]: key is 'GET dogs', expected \"METHOD /path\""),
        ("GET /dogs", "ANY /dogs", "services.dogs.routes[0]: key is 'ANY /dogs'"),
        ("GET /dogs", "GET /{proxy+}", "services.dogs.routes[0]: key is 'GET /{proxy+}'"),
        ('s" }', 's", auth = "jwt" }', 'services.dogs.routes[0] (GET /dogs): auth = "jwt" needs [api.jwt]'),
        ('s" }', 's", auth = "key" }', "services.dogs.routes[0] (GET /dogs): auth is 'key', expected one of none, jwt"),
        ('s" }', 's", scopes = ["a"] }', 'services.dogs.routes[0] (GET /dogs): scopes need auth = "jwt"'),
        ('s" }', 's", header = "x" }', "services.dogs.routes[0] (GET /dogs): header is not a known key"),
        ('s" }]', 's" }, { key = "GET /dogs" }]', "services.dogs: route 'GET /dogs' overlaps with 'GET /dogs'"),
        ('s" }]', 's/{a}" }, { key = "GET /dogs/{b}" }]', "services.dogs: route 'GET /dogs/{b}' overlaps with"),
        (
            "[services.dogs]",
            '[api.jwt]\nissuer = "https://i"\n[services.dogs]',
            "api.jwt: audience is missing, expected at least one",
        ),
        ("[services.dogs]", '[api.jwt]\naudience = ["a"]\n[services.dogs]', "api.jwt: issuer is missing"),
        ("[services.dogs]", '[services."dogs\\n"]', "services.dogs\n: the name must be up to 30"),
        ("rate = 50", "rate = inf", "api.throttle: rate is inf, expected requests per second above 0"),
        ("burst = 100", "burst = 0", "api.throttle: burst is 0, expected a number of requests above 0"),
        ("/healthz", "/health z", "services.dogs: health_path is '/health z', expected a path"),
        ("{ rate = 50, burst = 100 }", "5", "api: throttle is 5, expected a table of rate, burst"),
        ('"DOGS"', '"DOGS\\n"', "services.dogs: endpoint_service is 'DOGS\\n'"),
        ("8081", "65536", "services.dogs: listener_port is 65536, expected a port that no other service has"),
        ("seconds = 10", "seconds = 0", "services.dogs: timeout_seconds is 0"),
        ('[{ key = "GET /dogs" }]', "[5]", "services.dogs: routes[0] is 5, expected a table of key, throttle"),
        (
            's" }',
            's", auth = "jwt", scopes = [' + '"a", ' * 11 + "] }",
            "services.dogs.routes[0] (GET /dogs): scopes has 11 entries, expected at most 10 scopes",
        ),
        ('s" }', 's", scopes = [""] }', "services.dogs.routes[0] (GET /dogs): scopes[0] is ''"),
        ('s" }', 's", throttle = {} }', "services.dogs.routes[0] (GET /dogs).throttle: rate is missing"),
        ("[services.dogs]", '[api.jwt]\nissuer = "http://i"\n[services.dogs]', "api.jwt: issuer is 'http://i'"),
        ("[services.dogs]", "[api.jwt]\naudience = []\n[services.dogs]", "api.jwt: audience is [], expected at"),
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
            .replace('s" }]', 's", auth = "jwt", y = 1 }, { key = "GET /dogs" }]')
        )
    assert len(str(error.value).splitlines()) == 6


def test_a_list_with_one_wrong_entry_is_not_also_called_empty() -> None:
    with pytest.raises(RegistryError) as error:
        load_registry(ONE.replace("GET", "ANY"))
    assert len(str(error.value).splitlines()) == 1


def test_fails_when_two_services_share_a_listener_port() -> None:
    entry = ONE[ONE.index("[services") :].replace("services.dogs", "services.cats").replace("/dogs", "/cats")
    with pytest.raises(RegistryError, match=r"services\.dogs: listener_port 8081 belongs to services\.cats too"):
        load_registry(ONE + entry)


@pytest.mark.parametrize(
    ("count", "routes", "message"),
    [(51, 1, r"services has 51 entries, expected 1 to 50 \[services"), (1, 301, "301 routes")],
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


def test_the_schema_is_current() -> None:
    # python -m infra.registry > services.schema.json
    assert Registry.model_json_schema() == SCHEMA


@pytest.mark.parametrize("path", [FOLDER / "services.toml", *FOLDER.glob("examples/*.toml")])
def test_a_registry_names_the_schema_for_editors_and_follows_it(path: Path) -> None:
    text = path.read_text()
    first, schema = text.splitlines()[0].split()
    assert (first, (path.parent / schema).resolve()) == ("#:schema", FOLDER / "services.schema.json")
    Draft202012Validator(SCHEMA).validate(tomllib.loads(text))


@pytest.mark.parametrize(("old", "new"), [("dogs]", "Dogs]"), ("GET", "ANY"), ("timeout", "timout"), ("8081", "0")])
def test_the_schema_shows_mistakes_in_an_editor(old: str, new: str) -> None:
    assert Draft202012Validator(SCHEMA).is_valid(tomllib.loads(ONE))
    assert not Draft202012Validator(SCHEMA).is_valid(tomllib.loads(ONE.replace(old, new)))
