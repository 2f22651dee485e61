"""What somebody gets wrong before a deploy: one sentence, and nothing changed in any account."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from .conftest import refusal, service_names
from .environment import EC2, ECS, GATEWAY, STRANGER, WRONG, Checkout, Environment

pytestmark = pytest.mark.slow


def test_fails_when_the_keys_are_another_account_s(environment: Environment, fresh: Checkout) -> None:
    assert refusal(environment, fresh, "make deploy-ecs", environment.shell(EC2, ECS)) == (
        "error: the credentials are those of account 333333333333 (arn:aws:sts::333333333333:user/moto), expected account "
        "222222222222 (AWS_ACCOUNT); export the right ones or correct AWS_ACCOUNT\n"
    )


def test_fails_when_a_wrong_profile_is_asked_for_beside_the_right_keys(
    environment: Environment, fresh: Checkout
) -> None:
    for variable in ("AWS_PROFILE", "PROFILE", "ECS_PROFILE"):
        assert refusal(environment, fresh, "make deploy-ecs", environment.shell(ECS, **{variable: "todos"})) == (
            "error: the credentials of profile todos are those of account 333333333333 "
            "(arn:aws:sts::333333333333:user/moto), expected account 222222222222 (AWS_ACCOUNT); export the right ones or "
            "correct AWS_ACCOUNT\n"
        )


def test_fails_when_a_profile_is_unknown(environment: Environment, fresh: Checkout) -> None:
    assert refusal(environment, fresh, "make deploy", environment.profiles() | {"ECS_PROFILE": "cats"}) == (
        "error: no usable AWS credentials for account 222222222222: The config profile (cats) could not be found; export "
        "its AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or set PROFILE=<profile>\n"
    )


def test_fails_when_all_in_one_go_lacks_an_account_or_a_profile(environment: Environment, fresh: Checkout) -> None:
    environ = {
        name: value for name, value in environment.profiles().items() if name not in ("EC2_ACCOUNT", "GATEWAY_PROFILE")
    }
    for target in ("deploy", "destroy"):
        since = environment.mark()
        done = fresh.run(f"make {target}", environ)
        assert done.returncode == 2
        assert done.stderr.endswith(
            " EC2_ACCOUNT GATEWAY_PROFILE missing: all three in one go needs an account and a profile for each, "
            "such as ECS_ACCOUNT=222222222222 ECS_PROFILE=dogs.  Stop.\n"
        ), done.stderr
        assert environment.calls(since) == []


def test_fails_when_the_gateway_goes_before_the_providers(environment: Environment, fresh: Checkout) -> None:
    assert refusal(environment, fresh, "make deploy-gateway", environment.shell(GATEWAY)) == (
        "error: DOGNAME_SERVICE_NAME is missing: export the output ecs-provider.ecsvpcendpointservicename of its team's "
        "deploy, or run: make deploy-ecs\n"
        "error: TODO_SERVICE_NAME is missing: export the output ec2-provider.ec2vpceendpointservicename of its team's "
        "deploy, or run: make deploy-ec2\n"
    )


def test_fails_when_a_service_does_not_exist(environment: Environment, fresh: Checkout) -> None:
    environ = environment.shell(GATEWAY, DOGNAME_SERVICE_NAME=WRONG, TODO_SERVICE_NAME=WRONG.replace("def0", "def1"))
    assert refusal(environment, fresh, "make deploy-gateway", environ) == (
        f"error: DOGNAME_SERVICE_NAME is {WRONG}, which account 111111111111 cannot see: the name is wrong, the service is "
        "not there, or it does not admit us; compare the name with its provider's output, and let its team deploy with "
        "API_GATEWAY_ACCOUNT_ARN=arn:aws:iam::111111111111:root\n"
    )


def test_fails_when_a_service_is_in_another_region(environment: Environment, fresh: Checkout) -> None:
    elsewhere = WRONG.replace("us-west-2", "eu-west-1")
    environ = environment.shell(GATEWAY, DOGNAME_SERVICE_NAME=WRONG, TODO_SERVICE_NAME=elsewhere)
    assert refusal(environment, fresh, "make deploy-gateway", environ) == (
        f"error: TODO_SERVICE_NAME is {elsewhere}, a service in eu-west-1, expected one in us-west-2; deploy its provider "
        "to us-west-2, or the gateway to eu-west-1\n"
    )


def test_fails_when_the_names_are_swapped(environment: Environment, providers: Checkout, names: dict[str, str]) -> None:
    dogs, todo = service_names(providers).values()
    environ = environment.shell(GATEWAY, DOGNAME_SERVICE_NAME=todo, TODO_SERVICE_NAME=dogs)
    assert refusal(environment, providers, "make deploy-gateway", environ) == (
        f"error: DOGNAME_SERVICE_NAME is {todo}, which is the service of ec2-provider, expected {dogs}; were two names "
        "swapped? unset DOGNAME_SERVICE_NAME, or export the right one\n"
        f"error: TODO_SERVICE_NAME is {dogs}, which is the service of ecs-provider, expected {todo}; were two names "
        "swapped? unset TODO_SERVICE_NAME, or export the right one\n"
    )


def test_fails_when_a_service_does_not_admit_the_account(
    environment: Environment, fresh: Checkout, providers: Checkout, names: dict[str, str]
) -> None:
    current = service_names(providers)
    assert refusal(environment, fresh, "make deploy-gateway", environment.shell(STRANGER, **current)) == (
        f"error: DOGNAME_SERVICE_NAME is {current['DOGNAME_SERVICE_NAME']}, which account 444444444444 cannot see: the name "
        "is wrong, the service is not there, or it does not admit us; compare the name with its provider's output, and let "
        "its team deploy with API_GATEWAY_ACCOUNT_ARN=arn:aws:iam::444444444444:root\n"
    )


def test_fails_when_the_image_was_not_pushed(environment: Environment, fresh: Checkout) -> None:
    path = f"{fresh.root}/ecs-provider/.venv/bin:{environment.shell(ECS)['PATH']}"
    environ = environment.shell(ECS, IMAGE_TAG="002", PATH=path)
    said = refusal(environment, fresh, "npx cdk deploy --all", environ, "ecs-provider")
    assert "error: dog-names:002 is not in ECR of account 222222222222; push it first: make push\n" in said


@pytest.mark.parametrize("target", ["deploy", "destroy"])
def test_fails_when_nobody_can_be_asked(environment: Environment, fresh: Checkout, target: str) -> None:
    environ = environment.shell(ECS)
    del environ["APPROVAL"]
    assert refusal(environment, fresh, f"make -C ecs-provider {target}", environ) == (
        f"error: there is no terminal to ask for approval; to {target} without being asked: make {target} APPROVAL=never\n"
    )


def test_fails_when_a_setting_is_missing_or_malformed_and_names_all(environment: Environment, fresh: Checkout) -> None:
    environ = environment.shell(ECS, AWS_REGION="Oregon", API_GATEWAY_ACCOUNT_ARN="111111111111")
    del environ["AWS_ACCOUNT"]
    assert refusal(environment, fresh, "make deploy-ecs", environ) == (
        "error: AWS_ACCOUNT is missing, for example AWS_ACCOUNT=222222222222\n"
        "error: AWS_REGION is 'Oregon', expected something like us-west-2\n"
        "error: API_GATEWAY_ACCOUNT_ARN is '111111111111', expected something like arn:aws:iam::111111111111:root\n"
    )


def test_fails_within_five_seconds_when_there_are_no_credentials(environment: Environment, fresh: Checkout) -> None:
    accounts = {"ecs-provider": ECS, "ec2-provider": EC2, "global-apigw": GATEWAY}
    commands = {"make deploy-ecs": ECS, "make deploy-ec2": EC2, "make deploy-gateway": GATEWAY}
    for target in ("bootstrap", "diff", "deploy", "destroy"):
        commands |= {f"make -C {folder} {target}": account for folder, account in accounts.items()}
    commands |= {f"make -C ecs-provider {target}": ECS for target in ("push", "login")}
    names = {"DOGNAME_SERVICE_NAME": WRONG, "TODO_SERVICE_NAME": WRONG.replace("def0", "def1")}
    since = environment.mark()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # As on a laptop, where the address of EC2's metadata service does not answer.
        nowhere = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}"}

        def seconds(command: str) -> float:
            environ = environment.shell(None, commands[command], **names)
            if command == "make deploy-ecs":
                environ = environ | nowhere
                del environ["AWS_EC2_METADATA_DISABLED"]
            began = time.monotonic()
            assert refusal(environment, fresh, command, environ) == (
                f"error: no usable AWS credentials for account {commands[command]}: Unable to locate credentials; export its "
                "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or set PROFILE=<profile>\n"
            ), command
            return time.monotonic() - began

        with ThreadPoolExecutor(2) as pool:
            took = dict(zip(commands, pool.map(seconds, commands), strict=True))
        # A machine that was busy with other things gets a second try.
        assert [each for each in commands if took[each] >= 5 and seconds(each) >= 5] == []
    assert environment.calls(since) == []
    assert not [*fresh.root.glob("*/cdk.out"), *fresh.root.glob("*/.build/*.gz"), *fresh.root.glob("*/.outputs")]
