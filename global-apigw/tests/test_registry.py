"""The registry loads, or says everything that is wrong with it."""

import json
import re
import subprocess
import sys
import tomllib
from datetime import datetime
from pathlib import Path

import pytest
import trustme
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it has no types

from common.settings import SettingsError
from infra.registry import Api, Route, Throttle, load_registry
from infra.truststore import check_truststore
from local.authority import issue

FOLDER = Path(__file__).parent.parent
SCHEMA = json.loads((FOLDER / "services.schema.json").read_text())
EXAMPLES = yaml.safe_load((FOLDER / "tests/registry.yaml").read_text())
GOOD: str = EXAMPLES["good"]


def problems(text: str, folder: Path) -> list[str]:
    """The errors below the line that names the file."""
    (folder / "services.toml").write_text(text)
    with pytest.raises(SettingsError) as error:
        load_registry(folder / "services.toml")
    first, *others = str(error.value).splitlines()
    assert first == f"error: {folder}/services.toml has mistakes"
    return others


def test_a_key_that_the_registry_does_not_have_gets_its_default(tmp_path: Path) -> None:
    (tmp_path / "services.toml").write_text(GOOD)
    registry = load_registry(tmp_path / "services.toml")
    assert registry.api == Api(throttle=Throttle(rate=50, burst=100), jwt=None, cors_origins=[])
    assert registry.routes == [Route(key="GET /dogs", throttle=None, auth="none", scopes=[])]


@pytest.mark.parametrize("mistake", EXAMPLES["mistakes"], ids=lambda mistake: mistake["error"])
def test_fails_when_an_entry_is_wrong_and_names_entry_and_key(mistake: dict[str, str], tmp_path: Path) -> None:
    assert mistake["old"] in GOOD
    found = problems(GOOD.replace(mistake["old"], mistake["new"]), tmp_path)
    assert f"error: {mistake['error']}" in "\n".join(found)


def test_fails_when_two_services_share_a_listener_port(tmp_path: Path) -> None:
    entry = GOOD[GOOD.index("[services") :].replace("services.dogs", "services.cats").replace("/dogs", "/cats")
    port = "services.cats.listener_port is 8081, which conflicts with services.dogs.listener_port"
    assert problems(GOOD + entry, tmp_path) == [f"error: {port}"]


def test_fails_with_everything_that_is_wrong_at_once(tmp_path: Path) -> None:
    text = (
        GOOD.replace("rate = 50", "rate = 0").replace("seconds = 10", "seconds = 31").replace("[api]", "[api]\nx = 1")
    )
    assert len(problems(text.replace('s" }', 's", auth = "jwt", y = 1 }, { key = "GET /dogs" }'), tmp_path)) == 6


def test_a_list_with_one_wrong_entry_is_not_also_called_empty(tmp_path: Path) -> None:
    assert len(problems(GOOD.replace("GET", "ANY"), tmp_path)) == 1


CLIENTS = (FOLDER / "examples/clients.pem").read_text()


USABLE = "a .pem file beside the registry, with 1 to 1,000 certificates, no key, and at most 1 MB"
LINE = [trustme.CA()]
LINE += [LINE[0].create_child_ca()]
LINE += [LINE[1].create_child_ca()]
LINE += [LINE[2].create_child_ca()]
SAME, OTHER = trustme.CA(organization_unit_name="a"), trustme.CA(organization_unit_name="a")


def pem(*authorities: trustme.CA) -> str:
    return "".join(authority.cert_pem.bytes().decode() for authority in authorities)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", USABLE),
        ("no PEM", USABLE),
        (CLIENTS[:100], USABLE),
        (CLIENTS + CLIENTS[:100], USABLE),
        (CLIENTS.replace("MII", "MIJ"), USABLE),
        ("<1,000 others>" + CLIENTS, USABLE),
        (CLIENTS + "x" * 1_000_000, USABLE),
        (f"{CLIENTS}<a private key>", USABLE),
        (CLIENTS * 2, "one certificate of a name, but two are of CN=clients of api.example.com,O=example.com: give the new"),
        (f"{CLIENTS}<a client>", "certificates of authorities, but CN=client,OU=clients,O=local run is none: put its issuer here instead"),
        (pem(LINE[1]), "all certificates up to a root, but the issuer of OU=Testing CA #"),
        (pem(*LINE[1:]), "all certificates up to a root, but the issuer of OU=Testing CA #"),
        (pem(SAME.create_child_ca(), OTHER), "all certificates up to a root, but the issuer of OU=Testing CA #"),
        (pem(*LINE, LINE[3].create_child_ca()), "at most 4 certificates up to a root, but OU=Testing CA #"),
    ],
)  # fmt: skip
def test_fails_when_api_gateway_could_not_use_the_truststore(text: str, expected: str, tmp_path: Path) -> None:
    keys = "name = 'a.b', certificate = 'arn:aws:acm:a:111111111111:certificate/0', truststore = 'a.pem'"
    good = GOOD.replace("[api]", f"[api]\ndefault_endpoint = false\ndomain = {{ {keys} }}")
    client = issue(tmp_path, "client")
    key = client.with_name("client-key.pem").read_text()
    text = text.replace("<a private key>", key).replace("<a client>", client.read_text())
    (tmp_path / "a.pem").write_text(text.replace("<1,000 others>", pem(*(trustme.CA() for _ in range(1000)))))
    [problem] = problems(good, tmp_path)
    assert problem.startswith(f"error: api.domain.truststore is 'a.pem', expected {expected}")


def test_a_truststore_may_have_a_thousand_certificates_chains_of_four_and_a_client_that_signed_itself(
    tmp_path: Path,
) -> None:
    key, name = generate_private_key(SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
    client = x509.CertificateBuilder(name, name, key.public_key(), 1, datetime(2020, 1, 1), datetime(2050, 1, 1))
    own = client.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()
    (tmp_path / "a.pem").write_text(own + pem(*LINE, *(trustme.CA() for _ in range(995))))
    check_truststore(tmp_path / "a.pem")


def many(services: int, routes: int) -> str:
    """A registry of so many services with so many routes each."""
    head, entry = GOOD.split("[services.dogs]")
    for number in range(services):
        keys = ", ".join(f'{{ key = "GET /s{number}/{route}" }}' for route in range(routes))
        one = entry.replace("8081", str(65535 - number)).replace('{ key = "GET /dogs" }', keys)
        head += f"[services.s{number}]" + one
    return head


@pytest.mark.parametrize(
    ("services", "routes", "message"),
    [(51, 1, "services has 51 entries, expected 1 to 50 [services"), (1, 301, "services has 301 routes, expected at")],
)
def test_fails_when_a_quota_is_exceeded(services: int, routes: int, message: str, tmp_path: Path) -> None:
    [line] = problems(many(services, routes), tmp_path)
    assert line.startswith(f"error: {message}")


@pytest.mark.parametrize(("services", "routes"), [(50, 3), (10, 30)])
def test_a_registry_may_use_its_quotas_up(services: int, routes: int, tmp_path: Path) -> None:
    scopes = ', auth = "jwt", scopes = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] }'
    text = many(services, routes).replace(" }]", scopes + "]").replace("seconds = 10", "seconds = 30")
    text = text.replace("services.s0", "services.a123456789b123456789c12345678-")
    (tmp_path / "services.toml").write_text(
        text.replace("[api]", '[api]\njwt = { issuer = "https://i", audience = ["a"] }')
    )
    assert len(load_registry(tmp_path / "services.toml").routes) == services * routes


def test_fails_when_the_services_do_not_fit_into_a_stack(tmp_path: Path) -> None:
    (tmp_path / "services.toml").write_text(many(50, 5))
    message = "has 50 services with 250 routes, which are 544 resources, expected at most 500 in a stack"
    with pytest.raises(SettingsError, match=f"^error: {tmp_path}/services.toml {message}$"):
        load_registry(tmp_path / "services.toml")


def test_the_room_that_is_left_is_printed() -> None:
    done = run("infra.routes", "examples/secured.toml")
    assert re.search(r"^GET /todo +todo +8082 +todo.read or todo.write +3 +5$", done.stdout, re.MULTILINE)
    assert done.stdout.endswith(
        "next listener_port: 8083, unless a deleted service had it\n58 of 500 resources, 6 of 300 routes: room for 48 more "
        "services with a route each on a known endpoint port\n"
    )
    assert run("infra.routes", "nowhere.toml").stderr.startswith("error: SERVICES is 'nowhere.toml', expected the path")


@pytest.mark.parametrize(("content", "message"), [(b"[api", "is not TOML: "), (b"\xff", "is not TOML: 'utf-8' codec")])
def test_fails_when_the_registry_is_not_toml(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "services.toml").write_bytes(content)
    with pytest.raises(SettingsError, match=f"^error: {tmp_path}/services.toml {message}"):
        load_registry(tmp_path / "services.toml")


def run(*module: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *module], cwd=FOLDER, capture_output=True, text=True)


def test_the_schema_is_current() -> None:
    assert run("infra.registry").stdout == (FOLDER / "services.schema.json").read_text()  # > services.schema.json


@pytest.mark.parametrize("path", [FOLDER / "services.toml", *FOLDER.glob("examples/*.toml")])
def test_a_registry_names_the_schema_for_editors_and_follows_it(path: Path) -> None:
    text = path.read_text()
    first, schema = text.splitlines()[0].split()
    assert (first, (path.parent / schema).resolve()) == ("#:schema", FOLDER / "services.schema.json")
    Draft202012Validator(SCHEMA).validate(tomllib.loads(text))


@pytest.mark.parametrize(("old", "new"), [("dogs]", "Dogs]"), ("GET", "ANY"), ("timeout", "timout"), ("8081", "0")])
def test_the_schema_shows_mistakes_in_an_editor(old: str, new: str) -> None:
    assert Draft202012Validator(SCHEMA).is_valid(tomllib.loads(GOOD))
    assert not Draft202012Validator(SCHEMA).is_valid(tomllib.loads(GOOD.replace(old, new)))
