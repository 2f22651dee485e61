"""One server with three bootstrapped accounts for all tests; the deployed state is made by the first that needs it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from subprocess import CompletedProcess

import pytest

from tests.processes import running

from . import in_process
from .environment import EC2, ECS, FOLDER, GATEWAY, Checkout, Environment


@dataclass
class Deployed:
    """The checkout of the gateway's team, what its deploy said, and what a second deploy of an unchanged provider did."""

    gateway: Checkout
    said: str
    again: CompletedProcess[str]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """Three accounts, bootstrapped, with nothing in them."""
    environment = Environment(tmp_path_factory.mktemp("environment"))
    with running(environment.server):
        checkout = Checkout(tmp_path_factory.mktemp("bootstrap"))

        def bootstrap(account: str) -> CompletedProcess[str]:
            return checkout.run(f"make --silent -C {FOLDER[account]} bootstrap", environment.shell(account))

        with ThreadPoolExecutor(3) as pool:
            for done in pool.map(bootstrap, FOLDER):
                assert done.returncode == 0, done.stderr
        yield environment


@pytest.fixture(scope="session")
def synth() -> Iterator[dict[str, in_process.Synth]]:
    """What synthesizes templates, by folder."""
    with in_process.synths() as found:
        yield found


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout from which nothing has been deployed."""
    return Checkout(tmp_path_factory.mktemp("fresh"))


@pytest.fixture(scope="session")
def providers(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The checkout from which the providers are deployed."""
    return Checkout(tmp_path_factory.mktemp("providers"))


@pytest.fixture(scope="session")
def names(environment: Environment, providers: Checkout) -> dict[str, str]:
    """Deploys both providers as in the blog; what they print is what the gateway's team exports."""
    with ThreadPoolExecutor(2) as pool:
        shells = {"make deploy-ecs": environment.shell(ECS), "make deploy-ec2": environment.shell(EC2)}
        for done in pool.map(lambda each: providers.run(*each), shells.items()):
            assert done.returncode == 0, done.stderr
    return service_names(providers)


@pytest.fixture(scope="session")
def deployed(
    environment: Environment, names: dict[str, str], providers: Checkout, tmp_path_factory: pytest.TempPathFactory
) -> Deployed:
    """The gateway, deployed from a machine where the providers never were, while one of them is deployed again."""
    gateway = Checkout(tmp_path_factory.mktemp("gateway"))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(gateway.run, "make deploy-gateway", environment.shell(GATEWAY, **names))
        second = pool.submit(providers.run, "make deploy-ecs", environment.shell(ECS))
    for done in (first.result(), second.result()):
        assert done.returncode == 0, done.stderr
    return Deployed(gateway, first.result().stdout, second.result())


def service_names(checkout: Checkout) -> dict[str, str]:
    return {
        "DOGNAME_SERVICE_NAME": checkout.outputs(ECS)["ecsvpcendpointservicename"],
        "TODO_SERVICE_NAME": checkout.outputs(EC2)["ec2vpceendpointservicename"],
    }
