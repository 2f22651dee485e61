"""What is known before the first change: all that would stop one of the three deploys stops `make deploy` at once."""

import pytest

from .conftest import refusal, service_names
from .environment import EC2, ECS, GATEWAY, NEWCOMER, WRONG, Checkout, Environment

pytestmark = pytest.mark.slow


def allow_vcpus(environment: Environment, value: float) -> None:
    quotas = environment.client(EC2, "service-quotas")
    quotas.request_service_quota_increase(ServiceCode="ec2", QuotaCode="L-1216C47A", DesiredValue=value)


@pytest.fixture(autouse=True)
def enough_vcpus(environment: Environment) -> None:
    """Or ec2-provider's instances, when they are there, would be the first mistake."""
    allow_vcpus(environment, 8)


NOT_BOOTSTRAPPED = (
    "error: account 555555555555 is not bootstrapped in us-west-2, so the CDK CLI cannot deploy to it; once, with "
    "administrator rights: make -C {} bootstrap\n"
)


def test_fails_when_the_account_is_not_bootstrapped(environment: Environment, fresh: Checkout) -> None:
    assert refusal(environment, fresh, "make deploy-ecs", environment.shell(NEWCOMER)) == NOT_BOOTSTRAPPED.format(
        "ecs-provider"
    )


def test_fails_before_the_first_of_three_deploys_when_any_account_is_not_bootstrapped(
    environment: Environment, fresh: Checkout
) -> None:
    for team, folder in (("ECS", "ecs-provider"), ("EC2", "ec2-provider"), ("GATEWAY", "global-apigw")):
        environ = environment.profiles() | {f"{team}_ACCOUNT": NEWCOMER, f"{team}_PROFILE": "newcomer"}
        assert refusal(environment, fresh, "make deploy", environ) == NOT_BOOTSTRAPPED.format(folder)


CATS = """
[services.cats]
endpoint_service = "CATS_SERVICE_NAME"
endpoint_port = 8080
listener_port = 8083
health_path = "/healthz"
timeout_seconds = 10
routes = [{ key = "GET /cats" }]
"""


@pytest.mark.parametrize(
    ("registry", "names", "said"),
    [
        ("not toml", {}, "error: {path} is not TOML: "),
        (None, {}, "error: SERVICES is '{path}', expected the path of a registry such as services.toml\n"),
        ("services.toml", {}, "error: CATS_SERVICE_NAME is missing, for example CATS_SERVICE_NAME=com.amazonaws.vpce.us-west-2."),
        ("services.toml", {"CATS_SERVICE_NAME": WRONG}, f"error: CATS_SERVICE_NAME is {WRONG}, which account 111111111111 cannot see"),
        ("examples/secured.toml", {}, "error: the JWT issuer https://127.0.0.1:1/ cannot be read"),
    ],
)  # fmt: skip
def test_fails_before_the_first_of_three_deploys_when_the_gateway_s_would(
    environment: Environment, fresh: Checkout, registry: str | None, names: dict[str, str], said: str
) -> None:
    # The providers' deploys take a quarter of an hour, and the gateway's would then have told what was known before.
    path, known = fresh.root / "registry.toml", fresh.root / f"global-apigw/{registry}"
    if registry:
        text = known.read_text() if known.is_file() else registry
        path.write_text(text.replace("issuer.example.com", "127.0.0.1:1"))  # where nobody listens
    if registry == "services.toml":
        path.write_text(path.read_text() + CATS)
    environ = environment.profiles() | {"SERVICES": str(path)} | names
    assert refusal(environment, fresh, "make deploy", environ).startswith(said.format(path=path))


def test_fails_when_a_zone_has_no_vpc_links_in_every_folder(environment: Environment, fresh: Checkout) -> None:
    environ = environment.profiles() | {"AWS_REGION": "us-east-1", "AZ_IDS": "use1-az1,use1-az3"}
    said = (
        "error: no HTTP API can reach zone use1-az3, which has no VPC links, and all three folders use the same zones; "
        "choose two others of the region: AZ_IDS=<id>,<id>\n"
    )
    for command in ("make deploy", "make deploy-ecs", "make deploy-ec2"):
        assert refusal(environment, fresh, command, environ) == said


def test_fails_when_the_alarm_topic_is_in_another_region(environment: Environment, fresh: Checkout) -> None:
    topic = "arn:aws:sns:eu-west-1:222222222222:alarms"
    said = (
        "error: ALARM_TOPIC_ARN is a topic in eu-west-1, AWS_REGION is us-west-2: CloudWatch sends alarms only to topics of "
        "their own region; name a topic in us-west-2\n"
    )
    assert refusal(environment, fresh, "make deploy-ecs", environment.shell(ECS, ALARM_TOPIC_ARN=topic)) == said
    assert (
        refusal(environment, fresh, "make deploy", environment.profiles() | {"GATEWAY_ALARM_TOPIC_ARN": topic}) == said
    )


def test_fails_when_all_in_one_go_has_one_alarm_topic(environment: Environment, fresh: Checkout) -> None:
    environ = environment.profiles() | {"ALARM_TOPIC_ARN": "arn:aws:sns:us-west-2:222222222222:alarms"}
    assert refusal(environment, fresh, "make deploy", environ).endswith(
        "*** ALARM_TOPIC_ARN would be the topic of all three accounts: name each team's instead with "
        "ECS_ALARM_TOPIC_ARN, EC2_ALARM_TOPIC_ARN and GATEWAY_ALARM_TOPIC_ARN; a topic that they share needs the policy in "
        "docs/deploy.md.  Stop.\n"
    )


def test_fails_when_a_name_is_exported_that_the_deploys_before_it_would_tell(
    environment: Environment, fresh: Checkout
) -> None:
    environ = environment.profiles() | {"TODO_SERVICE_NAME": WRONG}
    assert refusal(environment, fresh, "make deploy", environ) == (
        f"error: TODO_SERVICE_NAME is {WRONG}, but ec2-provider is about to be deployed and tells its name itself; unset "
        "TODO_SERVICE_NAME\n"
    )


def test_fails_when_an_exported_name_is_not_that_of_the_last_deploy(
    environment: Environment, providers: Checkout, names: dict[str, str]
) -> None:
    todo = service_names(providers)["TODO_SERVICE_NAME"]
    said = (
        f"error: TODO_SERVICE_NAME is {WRONG}, but the last deploy of ec2-provider from here left {todo} in "
        "ec2-provider/.outputs/ec2-provider.json; unset TODO_SERVICE_NAME to use that, or remove the file if ec2-provider has "
        "been deployed from elsewhere since\n"
    )
    for command, environ in {
        "make deploy-gateway": environment.shell(GATEWAY),
        "make deploy": environment.profiles(),
    }.items():
        assert refusal(environment, providers, command, environ | {"TODO_SERVICE_NAME": WRONG}) == said


def test_fails_when_a_roll_exceeds_the_quota_of_vcpus(
    environment: Environment, providers: Checkout, names: dict[str, str]
) -> None:
    allow_vcpus(environment, 5)  # as in a new account
    request = (
        "aws service-quotas request-service-quota-increase --region us-west-2 --service-code ec2 --quota-code L-1216C47A "
        "--desired-value 8"
    )
    assert refusal(environment, providers, "make deploy-ec2", environment.shell(EC2)) == (
        "error: account 333333333333 may run 5 vCPUs in us-west-2 (quota L-1216C47A), 4 run already, this deploy launches 4 "
        f"more; ask for more and wait for it: {request}\n"
    )
