"""Mistakes before a deploy: a sentence, and no change in any account. mistakes.toml has them."""

import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from .conftest import service_names
from .environment import EC2, ECS, FOLDER, GATEWAY, Checkout, Environment, Shell

pytestmark = pytest.mark.slow
WRONG = "com.amazonaws.vpce.us-west-2.vpce-svc-0123456789abcdef0"  # no service of this name is anywhere
MISTAKES = tomllib.loads(Path(__file__).with_name("mistakes.toml").read_text())["mistake"]
VERBS = ("bootstrap", "diff", "destroy")
CATS = """
[services.cats]
endpoint_service = "CATS_SERVICE_NAME"
endpoint_port = 8080
listener_port = 8083
health_path = "/healthz"
timeout_seconds = 10
routes = [{ key = "GET /cats" }]
"""


def refusal(environment: Environment, checkout: Checkout, command: str, environ: Shell, folder: str = ".") -> str:
    """What the command says before it ends with an error and without a change."""
    since, docker = environment.mark(), checkout.docker.read_text()
    done = checkout.run(command, environ, folder)
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stderr
    assert environment.writes(since) == []
    assert checkout.docker.read_text() == docker
    # make names the target that failed; all else comes from us.
    return re.sub(r"^make(\[\d\])?: .*\n", "", done.stderr, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def registries(tmp_path_factory: pytest.TempPathFactory, checkout: Checkout) -> Path:
    folder = tmp_path_factory.mktemp("registries")
    known, secured = (checkout.root / "global-apigw" / name for name in ("services.toml", "examples/secured.toml"))
    (folder / "malformed.toml").write_text("not toml")
    (folder / "cats.toml").write_text(known.read_text() + CATS)
    production = (checkout.root / "global-apigw/examples/production.toml").read_text()
    (folder / "truststore.toml").write_text(production)
    (folder / "clients.pem").write_text("no PEM")
    (folder / "good.pem").write_text((checkout.root / "global-apigw/examples/clients.pem").read_text())
    production = production.replace("clients.pem", "good.pem")
    (folder / "domain.toml").write_text(production.replace("acm:us-west-2", "acm:us-east-1"))
    tls = known.read_text().replace(
        "listener_port = 8081", 'listener_port = 8081\ntls = { server_name = "dogs.example.com" }'
    )
    (folder / "tls.toml").write_text(tls)
    unreachable = known.read_text().replace("[api]", "[api]\ndefault_endpoint = false")
    (folder / "unreachable.toml").write_text(unreachable)
    (folder / "issuer.toml").write_text(secured.read_text().replace("issuer.example.com", "127.0.0.1:1"))
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout from which nothing has been deployed; no mistake changes it."""
    return Checkout(tmp_path_factory.mktemp("mistakes"))


@pytest.mark.parametrize(
    ("mistake", "command"),
    [pytest.param(each, command, id=f"{each['is']}: {command}") for each in MISTAKES for command in each["run"]],
)
def test_fails_with_a_sentence_and_changes_nothing(
    environment: Environment, names: dict[str, str], providers: Checkout, checkout: Checkout, registries: Path,
    mistake: dict[str, Any], command: str,
) -> None:  # fmt: skip
    environment.allow_vcpus(mistake.get("vcpus", 8))
    dogs, todo = service_names(providers).values()
    elsewhere = WRONG.replace("us-west-2", "eu-west-1")
    known = {"dogs": dogs, "todo": todo, "wrong": WRONG, "elsewhere": elsewhere, "registries": registries}
    keys, account = mistake.get("keys"), mistake.get("account", "")
    environ = environment.shell(keys, account) if keys else environment.profiles()
    said = refusal(
        environment,
        providers if "after" in mistake else checkout,
        command.format(**known),
        environ,
        mistake.get("folder", "."),
    )
    expected = re.escape(mistake["says"].format(**known)).replace("…", ".*")
    assert re.fullmatch(expected, said, re.DOTALL), said


def test_fails_without_credentials_before_anything_is_built(environment: Environment, fresh: Checkout) -> None:
    commands = {f"make -C {folder} {verb}": account for account, folder in FOLDER.items() for verb in VERBS}
    commands |= {"make -C ecs-provider push": ECS, "make -C ecs-provider login": ECS}
    commands |= {"make deploy-ecs": ECS, "make deploy-ec2": EC2, "make deploy-gateway": GATEWAY}
    names = {"DOGNAME_SERVICE_NAME": WRONG, "TODO_SERVICE_NAME": f"{WRONG}0"}
    since = environment.mark()

    def said(command: str) -> str:
        return refusal(environment, fresh, command, environment.shell(None, commands[command], **names))

    with ThreadPoolExecutor(2) as pool:
        for account, sentence in zip(commands.values(), pool.map(said, commands), strict=True):
            assert sentence == (
                f"error: no usable AWS credentials for account {account}: Unable to locate credentials; export its "
                "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or set PROFILE=<profile>\n"
            )
    assert environment.calls(since) == []
    assert not [*fresh.root.glob("*/cdk.out"), *fresh.root.glob("*/.build/*.gz"), *fresh.root.glob("*/.outputs")]
