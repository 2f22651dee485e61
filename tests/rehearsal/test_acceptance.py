"""A provider accepts each endpoint: the gateway's deploy says so and stops, the provider accepts, and requests pass."""

import importlib.util
from collections.abc import Iterator

import boto3
import pytest

from tests.conftest import ROOT

from .bindings import client
from .environment import EC2, ECS, FOLDER, GATEWAY, REGION, access_key
from .faults import opened
from .in_process import Gateway, Synth, accounts, deploy, provider

# isort: split
# After faults.py, which makes them importable.
from common.checks import CheckError
from common.settings import Settings
from infra.checks import check_services
from infra.doctor import examine
from infra.settings import GatewaySettings
from preflight import CHECKS

pytestmark = pytest.mark.slow
# The gateway's folder has no such module; what the module imports is the same in every folder.
SPEC = importlib.util.spec_from_file_location("connections", ROOT / "ec2-provider/common/connections.py")
assert SPEC and SPEC.loader
SPEC.loader.exec_module(CONNECTIONS := importlib.util.module_from_spec(SPEC))


@pytest.fixture(autouse=True)
def in_accounts() -> Iterator[None]:
    opened.cache_clear()  # it knows the answers of another test's accounts
    with accounts():
        yield
    opened.cache_clear()


def session(account: str) -> boto3.Session:
    return boto3.Session(aws_access_key_id=access_key(account), aws_secret_access_key="unchecked")


def connections(id: str = "") -> None:
    environ = {"AWS_ACCOUNT": EC2, "AWS_REGION": REGION}
    CONNECTIONS.connections(session(EC2), Settings.read(environ, stack=FOLDER[EC2]), environ={"ACCEPT": id})


def faults() -> list[str]:
    for each in (GATEWAY, EC2):
        opened(each).known.clear()
    return [hop.fault for hop in examine([opened(GATEWAY), opened(EC2)], "GET /todo")["GET /todo"] if hop.fault]


def test_a_deploy_stops_until_the_provider_has_accepted(
    synth: dict[str, Synth], capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(EC2, synth[FOLDER[EC2]](ACCEPTANCE="manual")).status == "CREATE_COMPLETE"
    connections()
    assert len(capsys.readouterr().out.splitlines()) == 1  # nobody
    [service] = client("ec2", EC2, REGION).describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
    names = {"DOGNAME_SERVICE_NAME": provider(ECS), "TODO_SERVICE_NAME": service["ServiceName"]}
    settings = GatewaySettings.read({"AWS_ACCOUNT": GATEWAY, "AWS_REGION": REGION, **names})
    check_services(session(GATEWAY), settings)
    assert capsys.readouterr().out.startswith(f"TODO_SERVICE_NAME: account {EC2}, which owns the service, must accept")

    assert deploy(GATEWAY, synth[FOLDER[GATEWAY]](**names)).status == "CREATE_COMPLETE"
    with pytest.raises(SystemExit, match=r"must run make connections ACCEPT=vpce-") as stopped:
        for check in CHECKS["deployed"]:
            check(session(GATEWAY), settings)
    assert Gateway().routes()["GET /todo"]["services"] == set()
    [fault] = faults()
    connections()
    [_, row, command] = capsys.readouterr().out.splitlines()
    id = command.rpartition("=")[2]
    assert row.split()[:3] == [id, "pendingAcceptance", GATEWAY]
    assert f" ACCEPT={id} " in str(stopped.value) and f" ACCEPT={id} " in fault

    connections(id)
    for check in CHECKS["deployed"]:
        check(session(GATEWAY), settings)
    assert Gateway().routes()["GET /todo"]["services"] == {service["ServiceName"]}
    assert faults() == []
    check_services(session(GATEWAY), settings)
    assert capsys.readouterr().out.startswith(f"accepted {id} of account {GATEWAY}") and not capsys.readouterr().out
    with pytest.raises(CheckError, match="it is accepted already"):
        connections(id)

    # A switch of the setting changes no connection.
    for acceptance, required in (("", False), ("manual", True)):
        done = deploy(EC2, synth[FOLDER[EC2]](ACCEPTANCE=acceptance))
        [now] = client("ec2", EC2, REGION).describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
        assert (done.status, now["AcceptanceRequired"]) == ("UPDATE_COMPLETE", required), done.reasons
        assert now["ServiceName"] == service["ServiceName"] and faults() == []
