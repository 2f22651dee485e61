"""Private by proof: the flows that each template allows are these, and no edit of tests/mutants.py opens another unseen."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch

import pytest

from tests.conftest import FOLDERS, ROOT
from tests.mutants import API, ELB, ENDPOINT, GROUP, Json, Mutant, group_id, ids, merged, mutants, new, to
from tools.flows import Flow, flows, table
from tools.template import Template, TemplateError

GATEWAY = "arn:aws:iam::111111111111:root"
AWS, S3 = "com.amazonaws.us-west-2", "com.amazonaws.${AWS::Region}.s3"
OWN = "* on * with credentials of 222222222222"
NAMES = "Route 53 Resolver: *.amazonaws.com"
FLOWS = {
    "ecs-provider": {
        Flow(GATEWAY, "provider NLB", "8080"),
        Flow("provider NLB :8080", "dog-names tasks", "8080"),
        Flow("dog-names tasks", NAMES, "53"),
        Flow("dog-names tasks", f"{AWS}.ecr.api: {OWN}", "443"),
        Flow("dog-names tasks", f"{AWS}.ecr.dkr: {OWN}", "443"),
        Flow("dog-names tasks", f"{AWS}.logs: {OWN}", "443"),
        Flow("dog-names tasks", f"{S3}: s3:GetObject on arn:aws:s3:::prod-us-west-2-starport-layer-bucket/*", "443"),
    },
    "ec2-provider": {
        Flow(GATEWAY, "provider NLB", "8080"),
        Flow("provider NLB :8080", "todo instances", "8080"),
        Flow("todo instances", NAMES, "53"),
        Flow("todo instances", f"{S3}: s3:GetObject on arn:aws:s3:::al2023-repos-us-west-2-de612dc2/*", "443"),
        Flow("todo instances", f"{S3}: s3:PutObject on arn:aws:s3:::cloudformation-waitcondition-us-west-2/*", "443"),
        Flow("todo instances", f"{S3}: s3:GetObject on arn:${{AWS::Partition}}:s3:::cdk-hnb659fds-assets-333333333333-us-west-2/*", "443"),
        Flow("todo instances", "com.amazonaws.${AWS::Region}.dynamodb: dynamodb:GetItem, dynamodb:PutItem, dynamodb:Scan on ${DatabaseTableF104A135.Arn}", "443"),
    },
    "global-apigw": {
        Flow("internet", "HTTP API", "443"),
        Flow("VPC link", "gateway NLB", "8081"),
        Flow("VPC link", "gateway NLB", "8082"),
        Flow("gateway NLB :8081", "com.amazonaws.vpce.us-west-2.vpce-svc-0d095000000000000", "8080"),
        Flow("gateway NLB :8082", "com.amazonaws.vpce.us-west-2.vpce-svc-070d0000000000000", "8080"),
    },
}  # fmt: skip
DOCUMENTS: dict[str, Json] = {
    name: json.loads((ROOT / name / f".local/cdk.out/{name}.template.json").read_text()) for name in FOLDERS
}
TEMPLATES = {name: Template(document) for name, document in DOCUMENTS.items()}
MUTANTS = [mutant for name, document in DOCUMENTS.items() for mutant in mutants(name, document)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_only_these_flows_are_possible(folder: str) -> None:
    # Anything more is a way in for a stranger, or a way out for what was stolen.
    assert set(flows(TEMPLATES[folder])) == FLOWS[folder]


@pytest.fixture(scope="module")
def caught(request: pytest.FixtureRequest) -> Iterator[Counter[tuple[str, str]]]:
    """Counts (operator, how it was caught), and prints the counts and the flows when all is done."""
    counts: Counter[tuple[str, str]] = Counter()
    yield counts
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{table(TEMPLATES)}\n")
        print(f"{counts.total()} mutants, each of which opens a way or a half of one, caught by")
        print("  a new flow  a refusal  operator")
        for operator in dict.fromkeys(operator for operator, _ in counts):
            print(f"  {counts[operator, 'flow']:10}  {counts[operator, 'refusal']:9}  {operator}")


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_an_edit_that_opens_a_way_is_caught(mutant: Mutant, caught: Counter[tuple[str, str]]) -> None:
    # A review overlooks one line of a template; this must not.
    document = mutant.apply(DOCUMENTS[mutant.folder])
    try:
        new = set(flows(Template(document))) - FLOWS[mutant.folder]
    except TemplateError:
        caught[mutant.operator, "refusal"] += 1
    else:
        assert new, "this edit opens a way that flows() does not see"
        caught[mutant.operator, "flow"] += 1


def edited(folder: str, patch: Json) -> Template:
    return Template(merged(DOCUMENTS[folder], {"Resources": patch}))


def test_a_flow_says_who_gets_where_on_which_port() -> None:
    # An edit that is caught must also be understood by who made it.
    tasks = next(
        name for name in ids(DOCUMENTS["ecs-provider"]["Resources"], GROUP) if name.startswith("DogNames")
    )
    ssh: Json = {"CidrIp": "198.51.100.0/24", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    stranger = edited("ecs-provider", to(tasks, {"SecurityGroupIngress": [ssh]}))
    assert set(flows(stranger)) - FLOWS["ecs-provider"] == {Flow(ssh["CidrIp"], "dog-names tasks", "22")}
    # A rule for every protocol is for every port, whatever it says.
    group = {"GroupId": group_id(tasks)}
    sent = new(
        f"{GROUP}Egress",
        **group,
        DestinationSecurityGroupId=group_id(tasks),
        IpProtocol="-1",
        FromPort=1,
        ToPort=1,
    )
    taken = new(
        f"{GROUP}Ingress",
        **group,
        SourceSecurityGroupId=group_id(tasks),
        IpProtocol="udp",
        FromPort=53,
        ToPort=99,
    )
    with pytest.raises(
        TemplateError, match=rf"no flow needs all that these allow: Sent \(all for {tasks}\)$"
    ):
        flows(edited("ecs-provider", {"Sent": sent, "Taken": taken}))


@pytest.mark.parametrize(
    ("type", "patch", "message"),
    [
        (f"{API}::Api", {"ProtocolType": "WEBSOCKET"}, "ProtocolType is 'WEBSOCKET', known here: 'HTTP'"),
        (f"{API}::Integration", {"ConnectionType": "INTERNET"}, "ConnectionType is 'INTERNET'"),
        (f"{API}::Integration", {"IntegrationType": "AWS_PROXY"}, "IntegrationType is 'AWS_PROXY'"),
        (f"{ELB}::LoadBalancer", {"Type": "gateway"}, "Type is 'gateway'"),
        (f"{ELB}::Listener", {"DefaultActions": [{"Type": "redirect"}]}, "Type is 'redirect'"),
        (ENDPOINT, {"PolicyDocument": {"Statement": [{"Effect": "Deny"}]}}, "Effect is 'Deny'"),
        (ENDPOINT, {"PolicyDocument": {"Statement": [{"Effect": "Allow", "Principal": {"Federated": "x"}}]}}, "property AWS is missing"),
        (ENDPOINT, {"ServiceName": {"Fn::If": []}}, "expected text, got"),
        ("Custom::AWS", {"Create": "eni-0bad", "Update": "eni-0bad"}, "does not look up the addresses of one endpoint"),
    ],
)  # fmt: skip
def test_fails_when_something_is_not_known(type: str, patch: Json, message: str) -> None:
    # What is passed over in silence is what nobody has thought about.
    name = ids(DOCUMENTS["global-apigw"]["Resources"], type)[0]
    with pytest.raises(TemplateError) as error:
        flows(edited("global-apigw", to(name, patch)))
    assert message in str(error.value)


def test_fails_when_a_macro_could_add_anything() -> None:
    with pytest.raises(TemplateError, match="Transform: it could add any resource"):
        Template({**DOCUMENTS["ecs-provider"], "Transform": "Bad"})


def test_the_first_page_shows_the_flows() -> None:
    # A table that is not current promises what is not so.
    assert f"```\n{table(TEMPLATES)}\n```\n" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("folder", ["ecs-provider", "ec2-provider"])
def test_the_dns_firewall_answers_for_the_names_that_a_start_asks_for(folder: str) -> None:
    # A forgotten name ends a boot that nobody can try here.
    names = re.findall(r"`([^`]*REGION\.[^`]*)`", (ROOT / folder / "README.md").read_text())
    answered = [flow.to.partition(": ")[2] for flow in flows(TEMPLATES[folder]) if flow.port == "53"]
    assert len(names) >= 4
    assert [name for name in names if not any(fnmatch(name, each) for each in answered)] == []
    # Every AWS service that the template has a way to.
    for endpoint in TEMPLATES[folder].of_type(ENDPOINT):
        short = TEMPLATES[folder].text(endpoint.properties["ServiceName"]).split(".")[3:]
        assert any({*short} <= {*name.split(".")} for name in names), short
