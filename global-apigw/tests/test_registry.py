"""The registry loads, or says everything that is wrong with it."""

import json
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it has no types

from common.settings import SettingsError
from infra.registry import Api, Registry, Route, Throttle, load_registry

FOLDER = Path(__file__).parent.parent
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
ROUTE = "services.dogs.routes[0] (GET /dogs)"


def problems(text: str, folder: Path) -> list[str]:
    """The errors below the line that names the file."""
    (folder / "services.toml").write_text(text)
    with pytest.raises(SettingsError) as error:
        load_registry(folder / "services.toml")
    first, *others = str(error.value).splitlines()
    assert first == f"error: {folder}/services.toml has mistakes"
    return others


def test_a_key_that_the_registry_does_not_have_gets_its_default(tmp_path: Path) -> None:
    (tmp_path / "services.toml").write_text(ONE)
    registry = load_registry(tmp_path / "services.toml")
    assert registry.api == Api(throttle=Throttle(rate=50, burst=100), jwt=None, cors_origins=[])
    assert registry.routes == [Route(key="GET /dogs", throttle=None, auth="none", scopes=[])]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[api]", "[ap]", "ap is not a known key"),
        ("[services.dogs]", "[service.dogs]", "service is not a known key"),
        ("services.dogs", "services.Dogs", "services.Dogs is 'Dogs', expected a name of up to 30 lower-case letters"),
        ("services.dogs", "services.constructor", "services.constructor is 'constructor', expected a name of up to 30"),
        ("services.dogs", 'services."dogs\\n"', "services.dogs\n is 'dogs\\n', expected a name of up to 30"),
        ("[api]", 'services.cats = "x"\n[api]', "services.cats is 'x', expected 1 to 50 [services.<name>] entries"),
        ("rate = 50", "rate = 0", "api.throttle.rate is 0, expected requests per second above 0"),
        ("rate = 50", "rate = inf", "api.throttle.rate is inf, expected requests per second above 0"),
        ("burst = 100", "burst = 0", "api.throttle.burst is 0, expected a number of requests above 0"),
        ("burst = 100", "burst = 1.5", "api.throttle.burst is 1.5, expected a number of requests above 0"),
        ("throttle = {", "throtle = {", "api.throttle is missing, expected { rate"),
        ("{ rate = 50, burst = 100 }", "5", "api.throttle is 5, expected { rate = <requests per second>, burst ="),
        ('"DOGS"', '"dogs"', "services.dogs.endpoint_service is 'dogs', expected an environment variable's name"),
        ('"DOGS"', '"DOGS\\n"', "services.dogs.endpoint_service is 'DOGS\\n'"),
        ("endpoint_port = 8080", "endpoint_port = 0", "services.dogs.endpoint_port is 0, expected a port"),
        ("endpoint_port = 8080", "endpoint_port = true", "services.dogs.endpoint_port is True, expected a port"),
        ("listener_port = 8081", "", "services.dogs.listener_port is missing, expected a port that no other"),
        ("8081", "65536", "services.dogs.listener_port is 65536, expected a port that no other service has"),
        ('"/healthz"', '"healthz"', "services.dogs.health_path is 'healthz', expected a path"),
        ("/healthz", "/health z", "services.dogs.health_path is '/health z', expected a path"),
        ("seconds = 10", "seconds = 0", "services.dogs.timeout_seconds is 0, expected 1 to 30"),
        ("seconds = 10", "seconds = 31", "services.dogs.timeout_seconds is 31, expected 1 to 30"),
        ("seconds = 10", "seconds = 10\ntimout = 3", "services.dogs.timout is not a known key"),
        ('[{ key = "GET /dogs" }]', "[]", "services.dogs.routes is [], expected a list of at least one route"),
        ('[{ key = "GET /dogs" }]', "[5]", "services.dogs.routes[0] is 5, expected a list of at least one route"),
        ("GET /dogs", "GET dogs", "services.dogs.routes[0] (GET dogs).key is 'GET dogs', expected \"METHOD /path\""),
        ("GET /dogs", "ANY /dogs", "services.dogs.routes[0] (ANY /dogs).key is 'ANY /dogs'"),
        ("GET /dogs", "GET /{proxy+}", "services.dogs.routes[0] (GET /{proxy+}).key is 'GET /{proxy+}'"),
        ('s" }', 's", header = "x" }', f"{ROUTE}.header is not a known key"),
        ('s" }', 's", auth = "key" }', f"{ROUTE}.auth is 'key', expected one of none, jwt"),
        ('s" }', 's", auth = "jwt" }', f'{ROUTE}: auth = "jwt" needs [api.jwt] with issuer'),
        ('s" }', 's", scopes = ["a"] }', f'{ROUTE}: scopes need auth = "jwt"'),
        ('s" }', 's", scopes = [""] }', f"{ROUTE}.scopes[0] is '', expected at most 10 scopes"),
        ('s" }', f's", scopes = {["a"] * 11} }}', f"{ROUTE}.scopes has 11 entries, expected at most 10 scopes"),
        ('s" }', 's", throttle = {} }', f"{ROUTE}.throttle.rate is missing"),
        ("[api]", '[api]\njwt.issuer = "https://i"', "api.jwt.audience is missing, expected at least one"),
        ("[api]", "[api]\njwt.audience = []", "api.jwt.audience is [], expected at least one"),
        ("[api]", '[api]\njwt.audience = ["a"]', "api.jwt.issuer is missing, expected an https:// URL"),
        ("[api]", '[api]\njwt.issuer = "http://i"', "api.jwt.issuer is 'http://i', expected an https:// URL"),
        ("[api]", '[api]\ncors_origins = "*"', "api.cors_origins is '*', expected a list of origins"),
    ],
)
def test_fails_when_an_entry_is_wrong_and_names_entry_and_key(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in ONE
    assert f"error: {message}" in "\n".join(problems(ONE.replace(old, new), tmp_path))


@pytest.mark.parametrize("second", ["GET /dogs/{a}", "GET /dogs/{b}"])
def test_fails_when_two_routes_match_the_same_requests(second: str, tmp_path: Path) -> None:
    text = ONE.replace('s" }', f's/{{a}}" }}, {{ key = "{second}" }}')
    first = "services.dogs.routes[0] (GET /dogs/{a}).key"
    expected = f"error: services.dogs.routes[1] ({second}).key is '{second}', which conflicts with {first}"
    assert problems(text, tmp_path) == [expected]


def test_fails_when_two_services_share_a_listener_port(tmp_path: Path) -> None:
    entry = ONE[ONE.index("[services") :].replace("services.dogs", "services.cats").replace("/dogs", "/cats")
    port = "services.cats.listener_port is 8081, which conflicts with services.dogs.listener_port"
    assert problems(ONE + entry, tmp_path) == [f"error: {port}"]


def test_fails_with_everything_that_is_wrong_at_once(tmp_path: Path) -> None:
    text = ONE.replace("rate = 50", "rate = 0").replace("seconds = 10", "seconds = 31").replace("[api]", "[api]\nx = 1")
    assert len(problems(text.replace('s" }', 's", auth = "jwt", y = 1 }, { key = "GET /dogs" }'), tmp_path)) == 6


def test_a_list_with_one_wrong_entry_is_not_also_called_empty(tmp_path: Path) -> None:
    assert len(problems(ONE.replace("GET", "ANY"), tmp_path)) == 1


@pytest.mark.parametrize(
    ("count", "routes", "message"),
    [
        (51, 1, "services has 51 entries, expected 1 to 50 [services"),
        (1, 301, "services has 301 routes, expected at most"),
    ],
)
def test_fails_when_a_quota_is_exceeded(count: int, routes: int, message: str, tmp_path: Path) -> None:
    head, entry = ONE.split("[services.dogs]")
    for number in range(count):
        keys = ", ".join(f'{{ key = "GET /s{number}/{route}" }}' for route in range(routes))
        one = entry.replace("8081", str(9000 + number)).replace('{ key = "GET /dogs" }', keys)
        head += f"[services.s{number}]" + one
    [line] = problems(head, tmp_path)
    assert line.startswith(f"error: {message}")


@pytest.mark.parametrize(("content", "message"), [(b"[api", "is not TOML: "), (b"\xff", "is not TOML: 'utf-8' codec")])
def test_fails_when_the_registry_is_not_toml(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "services.toml").write_bytes(content)
    with pytest.raises(SettingsError, match=f"^error: {tmp_path}/services.toml {message}"):
        load_registry(tmp_path / "services.toml")


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
