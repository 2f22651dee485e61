"""Updates of the three stacks, each there and back again, read back through the accounts' APIs, and failures at every step."""

import copy
import json
import re
import tomllib
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from functools import partial, reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.ssm.models import ssm_backends

from tests.conftest import ROOT

from .bindings import client
from .environment import EC2, ECS, FOLDER, GATEWAY, REGION
from .in_process import (
    EVERYTHING,
    OPEN,
    SECURED,
    UPDATES,
    Registry,
    Synth,
    Team,
    accounts,
    deploy,
    issue,
    own_domain,
    provider,
)

pytestmark = pytest.mark.slow
CHANGES = {each["is"]: each for each in UPDATES["change"]}
DOMAIN = EVERYTHING["api"]["domain"]


def edited(change: dict[str, Any]) -> tuple[Registry, Registry]:
    """The registry of before, and after the change."""
    before = tomllib.loads((ROOT / "global-apigw" / change["of"]).read_text())
    edit(before, change.get("both", {}).items())
    after = copy.deepcopy(before)
    edit(after, [*((path, None) for path in change.get("remove", [])), *change.get("set", {}).items()])
    return before, after


def edit(registry: Registry, changes: Iterable[tuple[str, Any]]) -> None:
    for path, value in changes:
        *parts, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        place: Any = reduce(getitem, parts, registry)  # type: ignore[arg-type]
        if last == "+":
            place.append(value)
        elif value is None:
            del place[last]
        else:
            place[last] = value


@pytest.fixture(scope="module")
def names(synth: dict[str, Synth]) -> Iterator[dict[str, str]]:
    """The accounts, with an endpoint service for each variable."""
    with accounts():
        own_domain()
        yield {
            "DOGNAME_SERVICE_NAME": provider(ECS), "TODO_SERVICE_NAME": provider(EC2), "CATS": provider(EC2),
            "OTHER": provider(EC2),
        }  # fmt: skip


@pytest.fixture(scope="module")
def team(synth: dict[str, Synth], names: dict[str, str]) -> Team:
    return Team(synth["global-apigw"], names)


def test_a_first_create_that_fails_leaves_nothing_and_the_next_one_goes_through(team: Team) -> None:
    for number in range(5, 56, 17):
        assert team.deploy(OPEN, (number, "after")).status == "ROLLBACK_COMPLETE"
        vpcs = client("ec2", GATEWAY, REGION).describe_vpcs()["Vpcs"]
        assert [vpc for vpc in vpcs if not vpc["IsDefault"]] == []
    assert team.deploy(OPEN).status == "CREATE_COMPLETE"  # after the CDK CLI's deletion of what is left of the stack


@pytest.mark.parametrize("name", CHANGES)
def test_no_route_is_out_of_order_while_a_deploy_changes(team: Team, name: str) -> None:
    before, after = edited(CHANGES[name])
    team.begin(before)
    for registry in (after, before):
        done = team.deploy(registry)
        assert done.status == "UPDATE_COMPLETE", done.reasons
        verbs = [step.split()[0] == "DELETE" for step in done.steps]
        assert verbs == sorted(verbs)  # deletions come last


def test_clients_find_the_domain_by_both_kinds_of_addresses(team: Team) -> None:
    team.begin(edited({"of": "examples/production.toml"})[0])
    api, route53 = (client(service, GATEWAY, REGION) for service in ("apigatewayv2", "route53"))
    [http] = api.get_apis()["Items"]
    [mapping] = api.get_api_mappings(DomainName="api.example.com")["Items"]
    assert (http["DisableExecuteApiEndpoint"], mapping["ApiId"], mapping["Stage"]) == (True, http["ApiId"], "$default")
    [name] = api.get_domain_names()["Items"]
    assert name["MutualTlsAuthentication"]["TruststoreUri"].endswith(".pem")
    records = route53.list_resource_record_sets(HostedZoneId="Z0123456789ABCDEFGHIJ")["ResourceRecordSets"]
    found = {each["Type"]: each["AliasTarget"]["DNSName"] for each in records if "AliasTarget" in each}
    assert found == dict.fromkeys(("A", "AAAA"), "d-api.example.com.execute-api.amazonaws.com")
    team.begin(OPEN)
    records = route53.list_resource_record_sets(HostedZoneId="Z0123456789ABCDEFGHIJ")["ResourceRecordSets"]
    assert {each["Type"] for each in records} == {"NS", "SOA"} and not api.get_domain_names()["Items"]


def test_what_is_in_use_or_taken_is_refused_as_by_aws(team: Team) -> None:
    team.begin(SECURED)
    api, elb, ec2 = (client(service, GATEWAY, REGION) for service in ("apigatewayv2", "elbv2", "ec2"))
    id = {"ApiId": api.get_apis()["Items"][0]["ApiId"]}
    [route] = [each for each in api.get_routes(**id)["Items"] if each["RouteKey"] == "POST /todo"]
    balancer = elb.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
    listener, other = elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
    ends = ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-endpoint-state", "Values": ["available"]}])["VpcEndpoints"]
    provided = client("elbv2", EC2, REGION)
    pending = client("acm", GATEWAY, REGION).request_certificate(DomainName="b.example.com")
    elsewhere = {"CertificateArn": issue(GATEWAY, "b.example.com", region="eu-west-1")}
    [of_provider, *_] = provided.describe_load_balancers()["LoadBalancers"]
    port, action = {"Port": other["Port"]}, listener["DefaultActions"]
    new = {"Port": 1, "LoadBalancerArn": balancer, "DefaultActions": action}
    del pending["ResponseMetadata"]
    [integration] = api.get_integrations(**id)["Items"][:1]
    [offered] = client("ec2", EC2, REGION).describe_vpc_endpoint_service_configurations()["ServiceConfigurations"][:1]
    refused: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
        (
            api.update_integration,
            {
                **id,
                "IntegrationId": integration["IntegrationId"],
                "RequestParameters": {"append:header.x-request-id": "a"},
            },
            "BadRequest.*Duplicate parameter mappings",
        ),
        (
            client("ec2", EC2, REGION).modify_vpc_endpoint_service_configuration,
            {"ServiceId": offered["ServiceId"], "RemoveSupportedRegions": [REGION]},
            "Cannot remove service region",
        ),
        (api.create_route, {**id, "RouteKey": "GET /dogs"}, "Conflict.*already exists"),
        (
            api.create_domain_name,
            {"DomainName": "b.example.com", "DomainNameConfigurations": [{"CertificateArn": "arn:aws:acm:x"}]},
            "BadRequest.*certificate",
        ),
        (api.delete_integration, {**id, "IntegrationId": route["Target"].partition("/")[2]}, "Conflict.*dependencies"),
        (api.delete_authorizer, {**id, "AuthorizerId": route["AuthorizerId"]}, "Conflict.*referenced"),
        (
            api.update_stage,
            {**id, "StageName": "$default", "RouteSettings": {"GET /x": {}}},
            "find Route by key GET /x",
        ),
        (
            elb.create_listener,
            {**port, "LoadBalancerArn": balancer, "Protocol": "TCP", "DefaultActions": action},
            "Duplicate",
        ),
        (elb.create_listener, new | {"Protocol": "TLS"}, "A certificate must be specified"),
        (
            elb.create_listener,
            new | {"Protocol": "TCP", "Certificates": [pending]},
            "A certificate cannot be specified",
        ),
        (elb.create_listener, new | {"Protocol": "TLS", "Certificates": [pending]}, "must be issued"),
        (elb.create_listener, new | {"Protocol": "TLS", "Certificates": [elsewhere]}, "CertificateNotFound"),
        (elb.modify_listener, {**port, "ListenerArn": listener["ListenerArn"]}, "DuplicateListener"),
        (elb.delete_target_group, {"TargetGroupArn": action[0]["TargetGroupArn"]}, "ResourceInUse"),
        (provided.delete_load_balancer, {"LoadBalancerArn": of_provider["LoadBalancerArn"]}, "ResourceInUse"),
        (ec2.delete_security_group, {"GroupId": ends[0]["Groups"][0]["GroupId"]}, "DependencyViolation"),
    ]
    bucket = f"cdk-hnb659fds-assets-{GATEWAY}-{REGION}"
    client("s3", GATEWAY, REGION).put_object(Bucket=bucket, Key="text.pem", Body=b"no PEM")
    named = {"DomainName": DOMAIN["name"], "DomainNameConfigurations": [{"CertificateArn": DOMAIN["certificate"]}]}
    for uri in (f"s3://{bucket}/none.pem", f"s3://{bucket}/text.pem", "s3://none/none.pem"):
        mutual = {"MutualTlsAuthentication": {"TruststoreUri": uri}}
        refused.append((api.create_domain_name, {**named, **mutual}, "BadRequest.*truststore"))
    for call, arguments, reason in refused:
        with pytest.raises(ClientError, match=reason):
            call(**arguments)


def test_a_failure_at_any_step_is_rolled_back_and_the_next_deploy_goes_through(team: Team) -> None:
    _, many = edited(UPDATES["many"])
    team.begin(OPEN)
    steps = len(team.deploy(many).steps)
    team.deploy(OPEN)
    for number in range(steps):
        when = ("before", "after")[number % 2]  # AWS has not done it, or has and CloudFormation does not know
        done = team.deploy(many, fail=(number, when))
        if done.steps[number].startswith("DELETE"):  # it is tried again
            assert done.status == "UPDATE_COMPLETE"
        else:
            reasons = [f"injected {when} {done.steps[number]}"]
            assert (done.status, done.reasons) == ("UPDATE_ROLLBACK_COMPLETE", reasons)
            assert team.deploy(many).status == "UPDATE_COMPLETE"
        assert team.deploy(OPEN).status == "UPDATE_COMPLETE"


def image() -> Any:
    ecs = client("ecs", ECS, REGION)
    [cluster] = ecs.list_clusters()["clusterArns"]
    [service] = ecs.describe_services(cluster=cluster, services=ecs.list_services(cluster=cluster)["serviceArns"])[
        "services"
    ]
    definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    assert ecs.list_task_definitions()["taskDefinitionArns"] == [service["taskDefinition"]]
    return definition["containerDefinitions"][0]["image"].rpartition(":")[2]


def launched() -> Any:
    """What the group launches: the data of the version of its launch template."""
    [group] = client("autoscaling", EC2, REGION).describe_auto_scaling_groups()["AutoScalingGroups"]
    wanted = {
        "LaunchTemplateId": group["LaunchTemplate"]["LaunchTemplateId"],
        "Versions": [group["LaunchTemplate"]["Version"]],
    }
    [version] = client("ec2", EC2, REGION).describe_launch_template_versions(**wanted)["LaunchTemplateVersions"]
    return version["LaunchTemplateData"]


def user_data(name: str) -> Any:
    text = b64decode(launched()["UserData"]).decode()
    return dict(re.findall(r"(\w+)='(.*?)'", text)).get(name)


def endpoints() -> Any:
    found = client("ec2", EC2, REGION).describe_vpc_endpoints()["VpcEndpoints"]
    return sorted(end["ServiceName"].split(".")[-1] for end in found if end["State"] == "available")


def topics() -> Any:
    alarms = client("cloudwatch", ECS, REGION).describe_alarms()["MetricAlarms"]
    actions = {action for alarm in alarms for action in (*alarm["AlarmActions"], *alarm["OKActions"])}
    return {action.rpartition(":")[2] for action in actions if ":sns:" in action}


def regions() -> Any:
    """The regions that the endpoint services are offered to."""
    found = client("ec2", ECS, REGION).describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
    return {each["Region"] for service in found for each in service["SupportedRegions"]}


def listeners() -> Any:
    elb = client("elbv2", ECS, REGION)
    [service] = client("ec2", ECS, REGION).describe_vpc_endpoint_service_configurations()["ServiceConfigurations"][-1:]
    [balancer] = service["NetworkLoadBalancerArns"]
    return {each["Port"]: each["Protocol"] for each in elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]}


CERTIFICATE = f"arn:aws:acm:{REGION}:{ECS}:certificate/0"
# Account, a setting and what it becomes, what is read before and after.
PROVIDERS: dict[str, tuple[str, dict[str, str], Callable[[], Any], Any, Any]] = {
    "a new image": (ECS, {"IMAGE_TAG": "002"}, image, "local", "002"),
    "alarms": (ECS, {"ALARM_TOPIC_ARN": f"arn:aws:sns:{REGION}:{ECS}:alarms"}, topics, set(), {"alarms"}),
    "TLS": (ECS, {"CERTIFICATE_ARN": CERTIFICATE}, listeners, {8080: "TCP"}, {8080: "TCP", 8443: "TLS"}),
    "logs of instances": (EC2, {"INSTANCE_LOGS": "1"}, endpoints, ["dynamodb", "s3"], ["dynamodb", "logs", "s3"]),
    "a shell": (EC2, {"SSM": "1"}, endpoints, ["dynamodb", "s3"], ["dynamodb", "s3", "ssm", "ssmmessages"]),
    "another table": (EC2, {"TABLE_NAME": "restored"}, partial(user_data, "TABLE_NAME"), ..., "restored"),
    "a new bundle": (EC2, {"BUNDLE": "{bundle}"}, partial(user_data, "BUNDLE_URI"), ..., ...),
}


@pytest.fixture(scope="module")
def settled(synth: dict[str, Synth], names: dict[str, str]) -> None:
    """Both providers, deployed."""
    issue(ECS, "dogs.example.com", CERTIFICATE)
    for account in (ECS, EC2):
        done = deploy(account, synth[FOLDER[account]]())
        assert done.status == "CREATE_COMPLETE", done.reasons


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_changes_and_goes_back(synth: dict[str, Synth], settled: None, tmp_path: Path, name: str) -> None:
    account, changed, read, before, after = PROVIDERS[name]
    bundle = tmp_path / "bundle.tar.gz"
    bundle.write_text("another")
    changed = {key: value.format(bundle=bundle) for key, value in changed.items()}
    tables = client("dynamodb", EC2, REGION).list_tables()["TableNames"]
    was = read()
    assert before in (..., was)
    for settings, expected in ((changed, after), ({}, was)):
        done = deploy(account, synth[FOLDER[account]](None, **settings))
        assert done.status == "UPDATE_COMPLETE", done.reasons
        assert (read() == expected) if expected is not ... else (read() != was)
    assert client("dynamodb", EC2, REGION).list_tables()["TableNames"] == tables


def test_a_deploy_takes_the_newest_base_image(synth: dict[str, Synth], settled: None) -> None:
    template = synth[FOLDER[EC2]]()
    [parameter] = [each["Default"] for name, each in template["Parameters"].items() if "latest" in name]
    assert deploy(EC2, template).status == "no changes"
    ssm_backends[EC2][REGION]._parameters[parameter][-1].value = "ami-12345678"  # Amazon's own: nobody else may put it
    done = deploy(EC2, template)
    assert (done.status, launched()["ImageId"]) == ("UPDATE_COMPLETE", "ami-12345678"), done.reasons


def test_a_stack_policy_and_termination_protection_hold(synth: dict[str, Synth], settled: None) -> None:
    cloudformation, name = client("cloudformation", EC2, REGION), FOLDER[EC2]
    template = json.loads(json.dumps(synth[name]()))
    [table] = [id for id, each in template["Resources"].items() if each["Type"] == "AWS::DynamoDB::Table"]
    allowed = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}
    denied = {
        **allowed,
        "Effect": "Deny",
        "Action": ["Update:Replace", "Update:Delete"],
        "Resource": f"LogicalResourceId/{table}",
    }
    cloudformation.set_stack_policy(StackName=name, StackPolicyBody=json.dumps({"Statement": [allowed, denied]}))
    template["Resources"][table]["Properties"]["TableName"] = "todo-2"
    done = deploy(EC2, template)
    assert done.status == "UPDATE_ROLLBACK_COMPLETE"
    scope = f"Statement [#2] does not allow [Update:Replace] for resource [LogicalResourceId/{table}];"
    assert done.reasons == [f"Action denied by stack policy: {scope}"]
    cloudformation.set_stack_policy(StackName=name, StackPolicyBody=json.dumps({"Statement": [allowed]}))
    assert deploy(EC2, template).status == "UPDATE_COMPLETE"
    assert len(client("dynamodb", EC2, REGION).list_tables()["TableNames"]) == 2  # UpdateReplacePolicy: Retain
    cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=True)
    with pytest.raises(ClientError, match="cannot be deleted while TerminationProtection is enabled"):
        cloudformation.delete_stack(StackName=name)


def test_fails_when_a_change_is_not_modelled_and_when_only_metadata_changes(
    synth: dict[str, Synth], settled: None
) -> None:
    template = json.loads(json.dumps(synth[FOLDER[ECS]]()))
    template["Metadata"] = {"DeployedWith": {"IMAGE_TAG": "any"}}
    assert deploy(ECS, template).status == "no changes"
    [cluster] = [each for each in template["Resources"].values() if each["Type"] == "AWS::ECS::Cluster"]
    cluster["Properties"] = {"ServiceConnectDefaults": {"Namespace": "x"}}
    done = deploy(ECS, template)
    assert (done.status, done.reasons) == (
        "UPDATE_ROLLBACK_COMPLETE",
        ["the rehearsal cannot update ['ServiceConnectDefaults'] of a AWS::ECS::Cluster"],
    )


def test_a_provider_that_comes_back_under_another_name_is_reached_again(team: Team) -> None:
    team.begin(OPEN)
    ec2 = client("ec2", EC2, REGION)
    old = team.names["TODO_SERVICE_NAME"]
    [service] = [
        each
        for each in ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
        if each["ServiceName"] == old
    ]
    [end] = [
        each["VpcEndpointId"]
        for each in ec2.describe_vpc_endpoint_connections()["VpcEndpointConnections"]
        if each["ServiceId"] == service["ServiceId"]
    ]
    ec2.reject_vpc_endpoint_connections(ServiceId=service["ServiceId"], VpcEndpointIds=[end])
    ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[service["ServiceId"]])
    team.gateway.forget()
    assert team.gateway.routes()["GET /todo"]["services"] == set()
    new = {**team.names, "TODO_SERVICE_NAME": provider(EC2)}
    told = team.synth.ask([team.synth(OPEN, **names) for names in (team.names, new)])
    assert [each["guard"] for each in told if each["subject"] == "todo"] == ["ACCEPT"]  # the outage is there already
    assert deploy(GATEWAY, team.synth(OPEN, **new)).status == "UPDATE_COMPLETE"
    team.gateway.forget()
    assert team.gateway.routes()["GET /todo"]["services"] == {new["TODO_SERVICE_NAME"]}


def test_the_own_region_of_a_provider_stays_whatever_other_regions_come_and_go(
    synth: dict[str, Synth], settled: None
) -> None:
    assert regions() == set()
    for asked, found in (("eu-west-1", {REGION, "eu-west-1"}), (REGION, {REGION})):
        done = deploy(ECS, synth[FOLDER[ECS]](None, SUPPORTED_REGIONS=asked))
        assert (done.status, regions()) == ("UPDATE_COMPLETE", found), done.reasons
    # `make deploy` refuses that before.
    done = deploy(ECS, synth[FOLDER[ECS]]())
    assert (done.status, regions()) == ("UPDATE_ROLLBACK_COMPLETE", {REGION})
    assert "Cannot remove service region" in done.reasons[0]
