"""Changes that a deploy refuses until somebody names them: a sentence, and nothing changed. refusals.toml has them."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import service_names
from .environment import EC2, ECS, Checkout, Environment, Shell
from .test_mistakes import refusal

pytestmark = pytest.mark.slow
TEAM = "666666666666"  # a further gateway's account, whose stack no other test needs
REFUSALS = tomllib.loads(Path(__file__).with_name("refusals.toml").read_text())["refusal"]


@pytest.fixture(scope="module")
def names(environment: Environment, names: dict[str, str], providers: Checkout) -> Iterator[dict[str, str]]:
    """The names of the endpoint services, which admit the team meanwhile."""
    current = service_names(providers)
    for account, change in ((ECS, "Add"), (EC2, "Add"), (ECS, "Remove"), (EC2, "Remove")):
        if (account, change) == (ECS, "Remove"):
            yield current
        ec2 = environment.client(account, "ec2")
        [service] = ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
        principals = {f"{change}AllowedPrincipals": [f"arn:aws:iam::{TEAM}:root"]}
        ec2.modify_vpc_endpoint_service_permissions(ServiceId=service["ServiceId"], **principals)


@pytest.fixture(scope="module")
def team(
    environment: Environment, names: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checkout]:
    """The checkout from which the gateway was deployed. The CDK CLI alone asks no issuer."""
    checkout = Checkout(tmp_path_factory.mktemp("team"))
    shell = environment.shell(TEAM, **names)
    assert checkout.run("make -C global-apigw bootstrap", shell).returncode == 0
    done = checkout.run(
        "npx cdk deploy --all --require-approval never", shell | {"SERVICES": "examples/secured.toml"}, "global-apigw"
    )
    assert done.returncode == 0, done.stderr
    yield checkout
    destroyed = checkout.run("make -C global-apigw destroy", shell)
    assert destroyed.returncode == 0, destroyed.stderr
    stacks = environment.client(TEAM, "cloudformation").describe_stacks()["Stacks"]
    assert [stack["StackName"] for stack in stacks] == ["CDKToolkit"]


@pytest.mark.parametrize("refused", REFUSALS, ids=lambda each: each["is"])
def test_fails_with_a_sentence_and_changes_nothing(
    environment: Environment, names: dict[str, str], team: Checkout, refused: dict[str, Any]
) -> None:
    known = dict(zip(("dogs", "todo"), names.values(), strict=True))
    given = [name.format(**known) for name in refused.get("names", names.values())]
    shell = environment.shell(TEAM, **dict(zip(names, given, strict=True)), ACCEPT=refused.get("accept", "").format())
    file, old, new = refused.get("edit", ["Makefile", "", ""])
    path = team.root / file
    kept = path.read_text()
    assert old in kept
    path.write_text(kept.replace(old, new))
    try:
        said = refusal(environment, team, "make -C global-apigw deploy", shell)
    finally:
        path.write_text(kept)
    for line in refused["says"]:
        assert re.search(f"^{re.escape(line.format(**known)).replace('…', '.*')}$", said, re.MULTILINE), said
    if "[refused]" in said:
        assert "to go on" not in said


def test_a_difference_is_explained_before_the_cdk_shows_it(
    environment: Environment, names: dict[str, str], team: Checkout
) -> None:
    done = team.run("make --silent -C global-apigw diff", environment.shell(TEAM, **names))
    assert done.returncode == 0, done.stderr
    first, line, *_ = done.stdout.splitlines()
    assert (first, line.partition(":")[0]) == ("global-apigw: what a deploy changes for others", "  GET /dogs/females")
    assert "ApiJwt" in done.stdout + done.stderr


def test_a_stack_is_not_deleted_by_the_cdk_cli_alone(
    environment: Environment, team: Checkout, names: dict[str, str]
) -> None:
    cloudformation = environment.client(TEAM, "cloudformation")
    before = cloudformation.list_stack_resources(StackName="global-apigw")["StackResourceSummaries"]
    shell: Shell = environment.shell(TEAM, **names)
    done = team.run("npx cdk destroy --all --force", shell, "global-apigw")
    assert done.returncode != 0
    assert "Stack [global-apigw] cannot be deleted while TerminationProtection is enabled" in done.stdout + done.stderr
    assert cloudformation.list_stack_resources(StackName="global-apigw")["StackResourceSummaries"] == before
