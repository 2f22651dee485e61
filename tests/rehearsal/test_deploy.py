"""From three empty accounts to an API, there and back: the real targets, read back through each account's own API."""

import json
import re
import subprocess
import tomllib
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import ROOT

from .conftest import Deployed, service_names
from .environment import EC2, ECS, FOLDER, GATEWAY, REGION, Checkout, Environment, exported

pytestmark = pytest.mark.slow
REGISTRY: dict[str, Any] = tomllib.loads((ROOT / "global-apigw/services.toml").read_text())["services"]
PROTECTED: dict[str, Any] = tomllib.loads((ROOT / "global-apigw/common/protected.toml").read_text())
LIVE = [{"Name": "vpc-endpoint-state", "Values": ["available"]}]


def endpoint_addresses(environment: Environment) -> dict[str, set[str]]:
    """Endpoint service name → private addresses of the gateway's endpoint to it."""
    ec2 = environment.client(GATEWAY, "ec2")
    placed = ec2.describe_network_interfaces()["NetworkInterfaces"]
    address = {each["NetworkInterfaceId"]: each["PrivateIpAddress"] for each in placed}
    return {
        endpoint["ServiceName"]: {address[interface] for interface in endpoint["NetworkInterfaceIds"]}
        for endpoint in ec2.describe_vpc_endpoints(Filters=LIVE)["VpcEndpoints"]
    }


def check_services(environment: Environment, names: dict[str, str]) -> None:
    """Each provider has one endpoint service, with the name it printed, that admits the gateway's account alone."""
    for account, name in zip((ECS, EC2), names.values(), strict=True):
        ec2 = environment.client(account, "ec2")
        [service] = ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
        permissions = ec2.describe_vpc_endpoint_service_permissions(ServiceId=service["ServiceId"])
        assert service["ServiceName"] == name
        assert [each["Principal"] for each in permissions["AllowedPrincipals"]] == [f"arn:aws:iam::{GATEWAY}:root"]
        [connection] = ec2.describe_vpc_endpoint_connections()["VpcEndpointConnections"]
        assert (connection["VpcEndpointOwner"], connection["VpcEndpointState"]) == (GATEWAY, "available")
    with pytest.raises(ClientError, match="InvalidServiceName"):
        environment.client(EC2, "ec2").describe_vpc_endpoint_services(ServiceNames=[names["DOGNAME_SERVICE_NAME"]])


def check_routes(environment: Environment, names: dict[str, str], url: str) -> None:
    """Each route of the registry, all of them open, leads through its own listener to the addresses of its service's endpoint."""
    api, elb = environment.client(GATEWAY, "apigatewayv2"), environment.client(GATEWAY, "elbv2")
    [http] = api.get_apis()["Items"]
    assert http["ApiEndpoint"] == url
    integrations = {each["IntegrationId"]: each for each in api.get_integrations(ApiId=http["ApiId"])["Items"]}
    reached = {}
    for route in api.get_routes(ApiId=http["ApiId"])["Items"]:
        integration = integrations[route["Target"].removeprefix("integrations/")]
        # Without the removal a client could call itself anybody on an open route.
        assert integration["RequestParameters"] == {
            "overwrite:header.x-request-id": "$context.requestId",
            "remove:header.x-auth-subject": "''",
        }
        [listener] = elb.describe_listeners(ListenerArns=[integration["IntegrationUri"]])["Listeners"]
        health = elb.describe_target_health(TargetGroupArn=listener["DefaultActions"][0]["TargetGroupArn"])
        targets = {(each["Target"]["Id"], each["Target"]["Port"]) for each in health["TargetHealthDescriptions"]}
        reached[route["RouteKey"]] = (listener["Port"], targets)
    addresses = endpoint_addresses(environment)
    assert len(set.union(*addresses.values())) == 4  # two zones each, none shared
    assert reached == {
        route["key"]: (
            service["listener_port"],
            {(each, 8080) for each in addresses[names[service["endpoint_service"]]]},
        )
        for service in REGISTRY.values()
        for route in service["routes"]
    }


def check_protection(environment: Environment) -> None:
    """No stack is deleted by accident, and no update replaces or deletes what others depend on."""
    for account, folder in FOLDER.items():
        cloudformation = environment.client(account, "cloudformation")
        [stack] = cloudformation.describe_stacks(StackName=folder)["Stacks"]
        assert stack["EnableTerminationProtection"]
        policy = json.loads(cloudformation.get_stack_policy(StackName=folder)["StackPolicyBody"])
        denied = [each for each in policy["Statement"] if each["Effect"] == "Deny"]
        assert all(each["Action"] == ["Update:Replace", "Update:Delete"] for each in denied)
        resources = cloudformation.list_stack_resources(StackName=folder)["StackResourceSummaries"]
        assert sorted(each["Resource"].removeprefix("LogicalResourceId/") for each in denied) == sorted(
            each["LogicalResourceId"] for each in resources if "breaks" in PROTECTED.get(each["ResourceType"], ())
        )


def test_services_admit_the_gateway_and_every_route_leads_to_its_service(
    environment: Environment, names: dict[str, str], deployed: Deployed
) -> None:
    url = deployed.gateway.outputs(GATEWAY)["HttpApiEndpoint"]
    check_services(environment, names)
    check_routes(environment, names, url)
    check_protection(environment)
    for variable, name in names.items():
        assert f"{variable}={name} (from the environment)\n" in deployed.said
    assert deployed.said.endswith(f"deployed; try it: make smoke URL={url}\n")


def test_the_doctor_reads_three_deployed_accounts_and_changes_nothing(
    environment: Environment, deployed: Deployed
) -> None:
    ecs = environment.client(ECS, "ecs")
    [cluster] = ecs.list_clusters()["clusterArns"]
    [service] = ecs.list_services(cluster=cluster)["serviceArns"]
    # moto's default is 0, CloudFormation's is 1.
    ecs.update_service(cluster=cluster, service=service, desiredCount=2)
    since = environment.mark()
    found = deployed.gateway.run("make doctor", environment.profiles())
    *rows, sentence = found.stdout.splitlines()
    assert [row for row in rows if " GET /dogs" in row] == [
        f"broken  GET /dogs{more}" for more in ("", "/females", "/males")
    ]
    # ECS registers no tasks in the rehearsal.
    look = f"dogs-team ({ECS}): look at the stopped reason of the tasks, and at their log group"
    assert sentence == f"503: no healthy target behind dog-names in {ECS} (0 registered); {look}"
    whole = deployed.gateway.run("make doctor", environment.shell(GATEWAY, ROUTE="GET /todo"))
    assert whole.returncode == 0 and "unseen  provider " in whole.stdout, whole.stdout
    assert whole.stdout.splitlines()[-1].startswith(
        "nothing is broken; not seen (no profile for its account, or no right"
    )
    assert environment.writes(since) == []


def test_the_image_is_pushed_once_to_a_repository_that_keeps_it(
    environment: Environment, names: dict[str, str], deployed: Deployed, providers: Checkout
) -> None:
    ecr = environment.client(ECS, "ecr")
    [repository] = ecr.describe_repositories(repositoryNames=["dog-names"])["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"]["scanOnPush"] is True
    policy = json.loads(ecr.get_lifecycle_policy(repositoryName="dog-names")["lifecyclePolicyText"])
    assert [rule["selection"]["tagStatus"] for rule in policy["rules"]] == ["untagged"]
    [image] = ecr.describe_images(repositoryName="dog-names")["imageDetails"]
    [tag] = image["imageTags"]
    [definition] = environment.client(ECS, "ecs").list_task_definitions()["taskDefinitionArns"]
    task = environment.client(ECS, "ecs").describe_task_definition(taskDefinition=definition)["taskDefinition"]
    registry = f"{ECS}.dkr.ecr.{REGION}.amazonaws.com"
    assert [each["image"] for each in task["containerDefinitions"]] == [f"{registry}/dog-names:{tag}"]
    assert deployed.again.stdout.startswith(f"dog-names:{tag} is in ECR already\n")
    assert "ecs-provider (no changes)" in deployed.again.stderr
    pushed = [line.split()[0] for line in providers.docker.read_text().splitlines()]
    assert pushed == ["build", "login", "tag", "push"]  # by the first deploy alone
    assert service_names(providers) == names


def test_a_deploy_of_all_three_with_profiles_replaces_what_was_destroyed(
    environment: Environment, names: dict[str, str], deployed: Deployed, providers: Checkout
) -> None:
    # Keys of another account are around all the time: with a profile they must not matter.
    person = environment.profiles() | exported(GATEWAY)
    refused = providers.run("make -C ecs-provider destroy", environment.shell(ECS))
    said = re.fullmatch(
        r"error: ecs-provider is in use: (vpce-\w+) of account 111111111111: available; destroy global-apigw first, or "
        r"cut them off: aws ec2 reject-vpc-endpoint-connections --region us-west-2 --service-id (vpce-svc-\w+) "
        r"--vpc-endpoint-ids \1\nmake: .* Error 2\n",
        refused.stderr,
    )
    assert said
    environment.client(ECS, "ec2").reject_vpc_endpoint_connections(ServiceId=said[2], VpcEndpointIds=[said[1]])
    cut_off = providers.run(".venv/bin/python preflight.py destroy never", environment.shell(ECS), "ecs-provider")
    assert cut_off.returncode == 0
    destroyed = providers.run("make destroy", person)
    assert destroyed.returncode == 0, destroyed.stderr
    assert re.findall(r"(\S+): destroyed", destroyed.stderr) == ["global-apigw", "ec2-provider", "ecs-provider"]
    for account in FOLDER:
        ec2 = environment.client(account, "ec2")
        assert [vpc for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc["IsDefault"]] == []
        assert ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"] == []
        stacks = environment.client(account, "cloudformation").describe_stacks()["Stacks"]
        assert [stack["StackName"] for stack in stacks] == ["CDKToolkit"]
    assert len(environment.client(EC2, "dynamodb").list_tables()["TableNames"]) == 1
    since = environment.mark()
    done = providers.run("make deploy", person)
    assert done.returncode == 0, done.stderr
    made = [call["account"] for call in environment.writes(since) if call["action"] == "ExecuteChangeSet"]
    assert made == [ECS, EC2, GATEWAY]
    new = service_names(providers)
    assert not set(new.values()) & set(names.values())
    for (variable, name), folder in zip(new.items(), ("ecs-provider", "ec2-provider"), strict=True):
        assert f"{variable}={name} (from {folder}/.outputs/{folder}.json)\n" in done.stdout
    check_services(environment, new)
    check_routes(environment, new, providers.outputs(GATEWAY)["HttpApiEndpoint"])
    explained = providers.run("make --silent diff", person)
    assert explained.returncode == 0, explained.stderr
    assert explained.stdout.count("  nothing that others can see\n") == 3
    assert re.search(r"^  idle cost a month: (\d+\.\d\d) USD deployed, \1 USD after$", explained.stdout, re.MULTILINE)


def test_the_page_of_the_first_deploy_leads_to_the_profiles_of_a_deploy(environment: Environment) -> None:
    person = environment.profiles()
    environ = {name: value for name, value in person.items() if not name.endswith(("_ACCOUNT", "_PROFILE"))}
    # Version 1 of the AWS CLI, which PyPI has, does not read AWS_REGION.
    environ |= {"AWS_DEFAULT_REGION": REGION, "PATH": f"{ROOT / '.venv/bin'}:{environ['PATH']}"}
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "docs/first-deploy.md").read_text(), re.DOTALL)
    environment.allow_vcpus(5)
    typed = subprocess.run(
        ["bash", "-eu"], input="\n".join([*blocks, "env"]), env=environ, capture_output=True, text=True
    )
    assert typed.returncode == 0, typed.stderr
    assert re.findall(r'"Account": "(\d+)"', typed.stdout) == [GATEWAY, ECS, EC2]
    quota = environment.client(EC2, "service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode="L-1216C47A")
    assert re.search(r"^5(\.0)?$", typed.stdout, re.MULTILINE) and quota["Quota"]["Value"] == 8
    assert {f"{name}={value}" for name, value in person.items() if name not in environ} <= {*typed.stdout.splitlines()}


@pytest.mark.parametrize("account", FOLDER)
def test_a_fresh_clone_destroys_with_an_account_and_a_region_alone(
    environment: Environment, fresh: Checkout, account: str
) -> None:
    # A region whose zones are not known, and a registry that is gone: neither matters to a destroy.
    given = {"AWS_REGION": "ap-northeast-3", "AZ_IDS": "apne3-az1,apne3-az2", "SERVICES": "gone.toml"}
    environ = environment.shell(account, **given)
    del environ["API_GATEWAY_ACCOUNT_ARN"]
    folder = FOLDER[account]
    done = fresh.run(f"make -C {folder} destroy", environ)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((fresh.root / folder / "cdk.out/manifest.json").read_text())
    assert manifest["artifacts"][folder]["environment"] == f"aws://{account}/ap-northeast-3"


def test_fails_when_a_template_has_a_type_that_nothing_binds(environment: Environment) -> None:
    template = json.dumps({"Resources": {"X": {"Type": "AWS::Wrong::Thing"}}})
    with pytest.raises(ClientError, match=r"Unrecognized resource types: \[AWS::Wrong::Thing\]"):
        environment.client(ECS, "cloudformation").create_change_set(
            StackName="x", ChangeSetName="x", ChangeSetType="CREATE", TemplateBody=template
        )


def test_a_dry_run_prints_every_step_and_calls_nobody(environment: Environment, fresh: Checkout) -> None:
    since = environment.mark()
    done = fresh.run("make -n deploy", environment.profiles())
    steps = (
        "preflight.py deploy ",
        "preflight.py changes ",
        "deploy --all",
        "preflight.py failed ",
        "preflight.py deployed ",
    )
    assert re.findall(rf"AWS_PROFILE=(\w+) \S+ ({'|'.join(steps)})", done.stdout) == [
        *((profile, steps[0]) for profile in ("dogs", "todos", "platform")),
        *((profile, step) for profile in ("dogs", "todos") for step in steps),
    ]
    assert "tools/service_names.py make --silent -C global-apigw deploy" in done.stdout
    assert environment.calls(since) == []
    assert fresh.docker.read_text() == ""
    assert not [*fresh.root.glob("*/.outputs")]
