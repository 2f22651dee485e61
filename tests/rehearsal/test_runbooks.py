"""docs/operate.md, "Runbooks": the rehearsal types every command of it, in order."""

import os
import re
import shlex
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.conftest import ROOT

from .conftest import Deployed, service_names
from .environment import EC2, ECS, GATEWAY, REGION, Checkout, Environment, Shell

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("deployed")]
LIVE = [{"Name": "vpc-endpoint-state", "Values": ["available"]}]
SECTIONS: dict[str, str] = dict(
    re.findall(r"^### (.*?)\n(.*?)(?=^##)", (ROOT / "docs/operate.md").read_text(), re.MULTILINE | re.DOTALL)
)


class Team:
    """Types the blocks of a runbook, one after the other; variables stay from block to block, as in a shell."""

    def __init__(self, title: str, checkout: Checkout, environ: Shell) -> None:
        self.blocks = re.findall(r"```bash\n(.*?)```", SECTIONS[title], re.DOTALL)
        self.checkout = checkout
        # Version 1 of the AWS CLI, which PyPI has, does not read AWS_REGION.
        self.environ = environ | {"AWS_DEFAULT_REGION": REGION, "DOCKER_RECORD": str(checkout.docker)}
        self.environ["PATH"] = f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"

    def types_next(self, **yours: str) -> str:
        """Types the next block, with the values of the lines that end in `# yours`; gives its output."""
        block = re.sub(r"(\w+)=.* # yours", lambda line: f"{line[1]}={yours.pop(line[1])}", self.blocks.pop(0))
        assert not yours
        after = self.checkout.root / "environ"
        done = subprocess.run(
            ["bash", "-aeuo", "pipefail", "-c", f"{block}\nenv -0 > {after}"],
            cwd=self.checkout.root, env=self.environ, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        self.environ = dict(line.split("=", 1) for line in after.read_text().split("\0") if line)
        return done.stdout + done.stderr


class Registry:
    """services.toml of the gateway's checkout."""

    def __init__(self, checkout: Checkout) -> None:
        self.checkout, self.path = checkout, checkout.root / "global-apigw/services.toml"

    def replace(self, pattern: str, by: str) -> str:
        """Replaces the one match of `pattern`; gives its text."""
        text = self.path.read_text()
        [found] = re.finditer(pattern, text, re.DOTALL | re.MULTILINE)
        self.path.write_text(text[: found.start()] + by + text[found.end() :])
        return found[0]


@pytest.fixture(scope="module")
def issuers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a server with the issuers /old/ and /new/, and its certificate, which signs itself."""
    root = tmp_path_factory.mktemp("issuers")
    certificate(root / "certificate.pem")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(root)))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(root / "certificate.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = f"https://127.0.0.1:{server.server_port}"
    for name in ("old", "new"):
        (root / name / ".well-known").mkdir(parents=True)
        document = f'{{"issuer": "{url}/{name}/", "jwks_uri": "{url}/keys"}}'
        (root / name / ".well-known/openid-configuration").write_text(document)
    Thread(target=server.serve_forever, daemon=True).start()
    yield url, root / "certificate.pem"
    server.shutdown()
    server.server_close()


def certificate(to: Path) -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    to.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))


@pytest.fixture(scope="module")
def registry(deployed: Deployed, issuers: tuple[str, Path]) -> Registry:
    """The secured one, with the issuer /old/; the next deploy has it."""
    registry = Registry(deployed.gateway)
    registry.path.write_text((ROOT / "global-apigw/examples/secured.toml").read_text())
    registry.replace(r"https://issuer\.example\.com/", f"{issuers[0]}/old/")
    return registry


@pytest.fixture(scope="module")
def platform(environment: Environment, registry: Registry, providers: Checkout, issuers: tuple[str, Path]) -> Shell:
    """The shell of the gateway's team."""
    return environment.shell(GATEWAY, AWS_CA_BUNDLE=str(issuers[1]), **service_names(providers))


def running_image(environment: Environment) -> str:
    ecs = environment.client(ECS, "ecs")
    [task] = ecs.list_task_definitions(sort="DESC", maxResults=1)["taskDefinitionArns"]
    definition = ecs.describe_task_definition(taskDefinition=task)["taskDefinition"]
    return str(definition["containerDefinitions"][0]["image"])


def live_endpoints(environment: Environment) -> list[Any]:
    """The endpoints of the gateway."""
    return list(environment.client(GATEWAY, "ec2").describe_vpc_endpoints(Filters=LIVE)["VpcEndpoints"])


def listener_ports(environment: Environment) -> dict[str, int]:
    """Route key → the port of the listener that the route leads to."""
    api, elb = environment.client(GATEWAY, "apigatewayv2"), environment.client(GATEWAY, "elbv2")
    [http] = api.get_apis()["Items"]
    integrations = {each["IntegrationId"]: each for each in api.get_integrations(ApiId=http["ApiId"])["Items"]}
    return {
        route["RouteKey"]: elb.describe_listeners(
            ListenerArns=[integrations[route["Target"].removeprefix("integrations/")]["IntegrationUri"]]
        )["Listeners"][0]["Port"]
        for route in api.get_routes(ApiId=http["ApiId"])["Items"]
    }


def second_service(environment: Environment) -> str:
    """A further endpoint service, in front of the todo team's NLB, that admits the gateway; its name."""
    ec2, elb = environment.client(EC2, "ec2"), environment.client(EC2, "elbv2")
    [balancer] = elb.describe_load_balancers()["LoadBalancers"]
    service = ec2.create_vpc_endpoint_service_configuration(
        NetworkLoadBalancerArns=[balancer["LoadBalancerArn"]], AcceptanceRequired=False
    )["ServiceConfiguration"]
    admitted = [f"arn:aws:iam::{GATEWAY}:root"]
    ec2.modify_vpc_endpoint_service_permissions(ServiceId=service["ServiceId"], AddAllowedPrincipals=admitted)
    return str(service["ServiceName"])


def test_every_runbook_is_rehearsed() -> None:
    names = {f"test_{re.sub('[^a-z]+', '_', title.lower())}" for title in SECTIONS}
    assert names == {name for name in globals() if name.startswith("test_")} - {"test_every_runbook_is_rehearsed"}


def test_go_back_to_the_previous_version(environment: Environment, providers: Checkout) -> None:
    before = running_image(environment)
    source = providers.root / "ecs-provider/image/main.go"
    source.write_text(source.read_text() + "// a change\n")
    done = providers.run("make deploy-ecs", environment.shell(ECS))
    assert done.returncode == 0 and running_image(environment) != before, done.stderr
    Team("Go back to the previous version", providers, environment.shell(ECS)).types_next()
    assert running_image(environment) == before


def test_swap_a_provider_without_an_outage(environment: Environment, registry: Registry, platform: Shell) -> None:
    title = "Swap a provider without an outage"
    team = Team(title, registry.checkout, platform)
    [entry] = re.findall(r"```toml\n(.*?)```", SECTIONS[title], re.DOTALL)
    registry.path.write_text(f"{registry.path.read_text()}\n{entry}")
    platform["DOGS2_SERVICE_NAME"] = second_service(environment)
    said = team.types_next(DOGS2_SERVICE_NAME=platform["DOGS2_SERVICE_NAME"])
    assert "dog-names-2" in said
    team.types_next()
    routes = registry.replace(r"(?<=routes = )\[\n  { key = \"GET /dogs\" .*?\n\]", "[]")
    registry.replace(r"routes = \[\]\s*\Z", f"routes = {routes}\n")
    team.types_next()
    assert listener_ports(environment)["GET /dogs"] == 8085


def test_leave_as_a_service(environment: Environment, registry: Registry, platform: Shell, providers: Checkout) -> None:
    registry.replace(r"\[services.dog-names\]\n.*?(?=\[services)", "")
    Team("Leave as a service", registry.checkout, platform).types_next()
    assert {*listener_ports(environment).values()} == {8082, 8085}
    leaving = Team("Leave as a service", providers, environment.shell(ECS))
    leaving.blocks.pop(0)
    leaving.types_next()
    assert environment.client(ECS, "ec2").describe_vpc_endpoint_service_configurations()["ServiceConfigurations"] == []


def test_re_create_a_lost_endpoint(environment: Environment, registry: Registry, platform: Shell) -> None:
    ec2 = environment.client(GATEWAY, "ec2")
    [lost] = [each for each in live_endpoints(environment) if each["ServiceName"] == platform["TODO_SERVICE_NAME"]]
    ec2.delete_vpc_endpoints(VpcEndpointIds=[lost["VpcEndpointId"]])
    said = Team("Re-create a lost endpoint", registry.checkout, platform).types_next()
    assert re.findall(r"\[-\] (.*)", said) == ["AWS::EC2::VPCEndpoint todo/Endpoint todoEndpointED4C079F"]


def test_restore_the_table_to_a_second_and_serve_it(environment: Environment, providers: Checkout) -> None:
    dynamodb = environment.client(EC2, "dynamodb")
    stack = environment.client(EC2, "cloudformation").describe_stacks(StackName="ec2-provider")["Stacks"][0]
    [table] = [each["OutputValue"] for each in stack["Outputs"] if each["OutputKey"] == "tablename"]
    dynamodb.put_item(TableName=table, Item={"id": {"S": "0"}, "data": {"S": "kept"}})
    environment.allow_vcpus(8)
    team = Team("Restore the table to a second, and serve it", providers, environment.shell(EC2))
    team.types_next(second=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    assert providers.outputs(EC2)["tablename"] == "todo-restored"
    assert dynamodb.get_item(TableName="todo-restored", Key={"id": {"S": "0"}})["Item"]["data"] == {"S": "kept"}


def test_rotate_the_issuer(
    environment: Environment, registry: Registry, platform: Shell, issuers: tuple[str, Path]
) -> None:
    registry.replace("/old/", "/new/")
    team = Team("Rotate the issuer", registry.checkout, platform)
    accept = re.findall('key = "(.*?)".*"jwt"', registry.path.read_text())
    said = team.types_next(accept=shlex.quote(",".join(accept)))
    assert f"{issuers[0]}/new/" in said
    api = environment.client(GATEWAY, "apigatewayv2")
    [http] = api.get_apis()["Items"]
    used = {each["AuthorizerId"] for each in api.get_routes(ApiId=http["ApiId"])["Items"] if "AuthorizerId" in each}
    [authorizer] = [api.get_authorizer(ApiId=http["ApiId"], AuthorizerId=id) for id in used]
    assert authorizer["JwtConfiguration"]["Issuer"] == f"{issuers[0]}/new/"


def test_lose_a_zone(environment: Environment, providers: Checkout) -> None:
    autoscaling = environment.client(EC2, "autoscaling")

    def subnets() -> list[str]:
        [group] = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
        return sorted(group["VPCZoneIdentifier"].split(","))

    before = subnets()
    team = Team("Lose a zone", providers, environment.shell(EC2))
    team.types_next(zone="usw2-az1")
    [rest] = subnets()
    assert rest in before
    team.types_next()
    assert subnets() == before
