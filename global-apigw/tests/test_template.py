"""The synthesized template, one fact a test; each name or comment says what goes wrong without it."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aws_cdk.assertions import Match, Template

from app import build
from infra.registry import load_registry
from tests.conftest import ENVIRON, FOLDER, FURTHER_SERVICE, synthesize

API, BALANCING = "AWS::ApiGatewayV2::", "AWS::ElasticLoadBalancingV2::"
GROUP = "AWS::EC2::SecurityGroup"
ENDPOINT, ALARM, FILTER = "AWS::EC2::VPCEndpoint", "AWS::CloudWatch::Alarm", "AWS::Logs::MetricFilter"
NO_SUBJECT = {"remove:header.x-auth-subject": "''"}
SUBJECT = {"overwrite:header.x-auth-subject": "$context.authorizer.claims.sub"}
# Of the checked-in registry.
EVERY: dict[str, tuple[str, dict[str, Any]]] = {
    "an endpoint has an address in both zones": (
        ENDPOINT,
        {"VpcEndpointType": "Interface", "SubnetIds": [Match.any_value(), Match.any_value()]},
    ),
    "without region the provider is in the region of the gateway": (ENDPOINT, {"ServiceRegion": Match.absent()}),
    "PrivateLink cannot keep the addresses of clients: the targets would get no connection": (
        f"{BALANCING}TargetGroup",
        {"TargetGroupAttributes": Match.array_with([{"Key": "preserve_client_ip.enabled", "Value": "false"}])},
    ),
    "no client can pretend to be somebody else": (
        f"{API}Integration",
        {"RequestParameters": {"overwrite:header.x-request-id": "$context.requestId", **NO_SUBJECT}},
    ),
    "a lookup without an answer ends within minutes": ("Custom::AWS", {"ServiceTimeout": "300"}),
    "without jwt a route is open": (f"{API}Route", {"AuthorizationType": "NONE"}),
    "without cors_origins there is no CORS": (f"{API}Api", {"CorsConfiguration": Match.absent()}),
    "without a topic an alarm notifies nobody": (ALARM, {"AlarmActions": Match.absent()}),
    "clients with either kind of address reach the API": (f"{API}Api", {"IpAddressType": "dualstack"}),
    "without a domain, clients call the generated address": (
        f"{API}Api",
        {"DisableExecuteApiEndpoint": Match.absent()},
    ),
    "without tls requests are plain HTTP": (f"{API}Integration", {"TlsConfig": Match.absent()}),
    "and so are health checks": (f"{BALANCING}TargetGroup", {"HealthCheckProtocol": "HTTP"}),
    "logs are kept for a month": ("AWS::Logs::LogGroup", {"RetentionInDays": 30}),
}
# By the fixture that has the template.
SOME: dict[str, tuple[str, str, dict[str, Any]]] = {
    "HTTP APIs have no metric of integration errors": ("document", FILTER, {"FilterPattern": '{ $.integrationError != "-" }'}),
    "HTTP APIs have no metric of throttled requests": ("document", FILTER, {"FilterPattern": '{ $.status = "429" }'}),
    "the authorizer takes the tokens of the registry": (
        "secured",
        f"{API}Authorizer",
        {"JwtConfiguration": {"Issuer": "https://issuer.example.com/", "Audience": ["todo-api"]}},
    ),
    "a web page of a listed origin may call the API": (
        "secured",
        f"{API}Api",
        {"CorsConfiguration": Match.object_like({"AllowOrigins": ["https://app.example.com"]})},
    ),
    "clients call the domain alone": ("production", f"{API}Api", {"DisableExecuteApiEndpoint": True}),
    "the domain takes TLS 1.2 and better, from clients with either kind of address": (
        "production",
        f"{API}DomainName",
        {"DomainNameConfigurations": [Match.object_like({"SecurityPolicy": "TLS_1_2", "IpAddressType": "dualstack"})]},
    ),
    "clients need a certificate of the truststore, an object whose key is the hash of its content": (
        "production",
        f"{API}DomainName",
        {"MutualTlsAuthentication": {"TruststoreUri": Match.string_like_regexp(r"s3://cdk-.*-us-west-2/[0-9a-f]{64}\.pem")}},
    ),
    "the domain leads to the default stage, once it is there": (
        "production",
        f"{API}ApiMapping",
        {"Stage": {"Ref": "ApiStageB35FBB6B"}, "DomainName": {"Ref": "ApiDomainBBE0B8D4"}},
    ),
    "the certificate of a service must have the name": (
        "over_tls",
        f"{API}Integration",
        {"TlsConfig": {"ServerNameToVerify": "internal.example.com"}},
    ),
    "health checks go over TLS, too": ("over_tls", f"{BALANCING}TargetGroup", {"Port": 8443, "HealthCheckProtocol": "HTTPS"}),
    "the load balancer passes TLS through": ("over_tls", f"{BALANCING}Listener", {"Port": 8081, "Protocol": "TCP"}),
    "a further service is reached at its listener port": ("joined", f"{BALANCING}Listener", {"Port": 65000}),
    "a further service may be in another region": ("joined", ENDPOINT, {"ServiceRegion": "eu-west-1"}),
    "a further service has its own port and health check": (
        "joined",
        f"{BALANCING}TargetGroup",
        {"Port": 9090, "HealthCheckPath": "/ping"},
    ),
    "a further service has its own timeout": ("joined", f"{API}Integration", {"TimeoutInMillis": 20000}),
    "a further service has an alarm": ("joined", ALARM, {"AlarmDescription": Match.string_like_regexp("further.*:")}),
    "a query reads the lines of its own routes alone": (
        "document",
        "AWS::Logs::LogGroup",
        {"FieldIndexPolicies": [{"Fields": ["route"]}]},
    ),
    "two regions of an account have a dashboard each": (
        "document",
        "AWS::CloudWatch::Dashboard",
        {"DashboardName": "global-apigw-us-west-2"},
    ),
    "a saved query looks at the access log": (
        "document",
        "AWS::Logs::QueryDefinition",
        {"Name": "global-apigw/slowest routes", "LogGroupNames": [{"Ref": Match.string_like_regexp("AccessLog")}]},
    ),
    "a route has a limit of its own": (
        "joined",
        f"{API}Stage",
        {"RouteSettings": Match.object_like({"GET /further/{id}": {"ThrottlingRateLimit": 5, "ThrottlingBurstLimit": 7}})},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def template(document: dict[str, Any]) -> Template:
    return Template.from_json(document)


@pytest.mark.parametrize("fact", EVERY)
def test_every_resource_of_a_type_says_that(template: Template, fact: str) -> None:
    template.all_resources_properties(*EVERY[fact])


@pytest.mark.parametrize("fact", SOME)
def test_a_template_says_that(fact: str, request: pytest.FixtureRequest) -> None:
    fixture, type, properties = SOME[fact]
    Template.from_json(request.getfixturevalue(fixture)).has_resource_properties(type, properties)


def test_with_a_topic_every_alarm_goes_to_it(secured: dict[str, Any]) -> None:
    topic = ["arn:aws:sns:us-west-2:111111111111:alarms"]
    Template.from_json(secured).all_resources_properties(ALARM, {"AlarmActions": topic})


def test_reordering_the_registry_changes_nothing(document: dict[str, Any], tmp_path: Path) -> None:
    head, *services = re.split(r"(?m)^(?=\[services\.)", (FOLDER / "services.toml").read_text())
    reordered = re.sub(
        r"(?ms)(?<=^routes = \[\n).+?(?=^\])",
        lambda routes: "".join(reversed(routes[0].splitlines(keepends=True))),
        head + "\n".join(reversed(services)),
    )
    registry = tmp_path / "services.toml"
    registry.write_text(reordered)
    assert synthesize(tmp_path / "cdk.out", SERVICES=str(registry))["Resources"] == document["Resources"]


def test_a_lookup_is_filtered(template: Template) -> None:
    # Unfiltered, the response is larger than a custom resource may return, and the create fails.
    for lookup in template.find_resources("Custom::AWS").values():
        assert '"outputPaths":["NetworkInterfaces.0.PrivateIpAddress"' in str(lookup["Properties"]["Create"])


def test_the_access_log_explains_a_401_and_a_5xx_within_the_quota(template: Template) -> None:
    [stage] = template.find_resources(f"{API}Stage").values()
    log = stage["Properties"]["AccessLogSettings"]["Format"]
    assert len(log) <= 3 * 1024  # http-api-quotas: access log template size
    explaining = ("authorizer.error", "authorizer.claims.client_id", "integration.status", "integrationErrorMessage")
    assert {f"$context.{variable}" for variable in explaining} <= set(json.loads(log).values())


def test_the_stage_waits_for_routes_that_its_settings_name(template: Template) -> None:
    [stage] = template.find_resources(f"{API}Stage").values()
    assert {*template.find_resources(f"{API}Route")} <= {*stage["DependsOn"]}


def test_an_endpoint_and_so_its_listener_waits_for_the_rules_that_lead_to_it(template: Template) -> None:
    # An endpoint that takes the group, or a route that moves to the listener, must reach the targets at once.
    rules = [*template.find_resources(f"{GROUP}Ingress"), *template.find_resources(f"{GROUP}Egress")]
    assert len(rules) == 4
    for endpoint in template.find_resources(ENDPOINT).values():
        assert {*rules} == {*endpoint["DependsOn"]}


@pytest.mark.parametrize(
    ("type", "id"), [(f"{API}Api", "ApiHttpApi2997B86B"), (f"{BALANCING}LoadBalancer", "LoadBalancerNlb0CEC888C")]
)
def test_a_resource_that_clients_and_providers_use_keeps_its_logical_id(template: Template, type: str, id: str) -> None:
    # A changed id means a replaced resource: another public URL. A second load balancer costs money.
    assert list(template.find_resources(type)) == [id]


def test_the_output_has_the_blogs_name_and_is_the_address_for_clients(
    template: Template, production: dict[str, Any]
) -> None:
    template.has_output("HttpApiEndpoint", {"Value": {"Fn::GetAtt": ["ApiHttpApi2997B86B", "ApiEndpoint"]}})
    Template.from_json(production).has_output("HttpApiEndpoint", {"Value": "https://api.example.com"})


def test_over_tls_routes_lead_to_other_integrations(document: dict[str, Any], over_tls: dict[str, Any]) -> None:
    # An update that takes TLS from an integration might leave it there.
    before, after = (
        {name for name, body in each["Resources"].items() if body["Type"] == f"{API}Integration"}
        for each in (document, over_tls)
    )
    assert len(before) == len(after) and before.isdisjoint(after)


def test_a_domain_adds_its_own_resources_and_its_truststore_changes_what_sees_the_client(
    document: dict[str, Any], production: dict[str, Any]
) -> None:
    before, after = document["Resources"], production["Resources"]
    added = Counter(after[name]["Type"] for name in after.keys() - before.keys())
    of_domain = Counter({f"{API}ApiMapping": 1, f"{API}DomainName": 1, "AWS::Route53::RecordSet": 2})
    # An update would merge the mappings of headers, so the routes move to other integrations.
    moved = Counter({f"{API}Integration": 2})
    assert added == of_domain + moved
    assert Counter(before[name]["Type"] for name in before.keys() - after.keys()) == moved
    changed = {before[name]["Type"] for name in before.keys() & after.keys() if before[name] != after[name]}
    assert changed == {f"{API}Api", f"{API}Stage", f"{API}Route"}
    assert not {*of_domain} & {body["Type"] for body in before.values()}


def test_a_domain_without_a_hosted_zone_says_which_record_to_create(tmp_path: Path) -> None:
    lines = (FOLDER / "examples/production.toml").read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(("hosted_zone", "truststore"))]
    (tmp_path / "services.toml").write_text("".join(kept))
    after = synthesize(tmp_path / "cdk.out", SERVICES=str(tmp_path / "services.toml"))
    assert "clientCert" not in str(after)
    # The domain may have had a truststore, and services may rely on the header.
    removed = {"RequestParameters": Match.object_like({"remove:header.x-client-cert-subject": "''"})}
    Template.from_json(after).resource_properties_count_is(f"{API}Integration", removed, 2)
    template = Template.from_json(after)
    target = {"Fn::GetAtt": ["ApiDomainBBE0B8D4", "RegionalDomainName"]}
    template.has_output("DomainRecord", {"Value": {"Fn::Join": ["", ["api.example.com CNAME ", target]]}})
    template.resource_count_is("AWS::Route53::RecordSet", 0)


def test_nobody_finds_the_name_before_it_leads_to_the_api(production: dict[str, Any]) -> None:
    records = Template.from_json(production).find_resources("AWS::Route53::RecordSet").values()
    assert sorted((record["Properties"]["Type"], *record["DependsOn"]) for record in records) == [
        ("A", "ApiDomainMappingD61F99C2"),
        ("AAAA", "ApiDomainMappingD61F99C2"),
    ]


def test_a_route_asks_for_the_token_and_scopes_of_its_entry(secured: dict[str, Any]) -> None:
    routes = [route["Properties"] for route in Template.from_json(secured).find_resources(f"{API}Route").values()]
    entries = load_registry(FOLDER / "examples/secured.toml").routes
    asked = {route["RouteKey"]: route.get("AuthorizationScopes", []) for route in routes if "AuthorizerId" in route}
    assert asked == {route.key: route.scopes for route in entries if route.auth == "jwt"}


def test_an_authorized_route_hands_on_the_verified_subject(secured: dict[str, Any]) -> None:
    # And an open route of the same service removes it: they need an integration each.
    template = Template.from_json(secured)
    for mapping, count in ((SUBJECT, 2), (NO_SUBJECT, 1)):
        properties = {"RequestParameters": Match.object_like(mapping)}
        template.resource_properties_count_is(f"{API}Integration", properties, count)


def test_a_further_service_changes_nothing_of_the_others(document: dict[str, Any], joined: dict[str, Any]) -> None:
    # A changed logical id is a replaced endpoint or listener: an outage of a team that did nothing.
    kinds = (ENDPOINT, f"{BALANCING}Listener", f"{BALANCING}TargetGroup", f"{API}Integration", f"{API}Route")
    kept = {name: body for name, body in document["Resources"].items() if body["Type"] in kinds}
    assert kept.items() <= joined["Resources"].items()


@pytest.mark.parametrize(
    ("part", "count"),
    [
        ("dog-names: 99.9 %", 1),  # of [api]
        ("/ (0.001 * answers)", 2),
        ("further: 99 %", 1),  # its own
        ("/ (0.01 * answers)", 1),
        (r"filter route in [\\\"GET /further/{id}\\\"]", 1),
    ],
)
def test_a_service_has_an_error_budget(joined: dict[str, Any], part: str, count: int) -> None:
    assert json.dumps(joined["Resources"]["Budgets847BC00E"]).count(part) == count


def test_a_service_without_routes_has_no_budget(tmp_path: Path) -> None:
    # Logs Insights refuses the query, and the three deploys of a swap have such an entry.
    registry = tmp_path / "services.toml"
    registry.write_text((FOLDER / "services.toml").read_text() + FURTHER_SERVICE.partition("routes")[0] + "routes = []")
    body = json.dumps(synthesize(tmp_path, SERVICES=str(registry))["Resources"]["Budgets847BC00E"])
    assert ("dog-names: 99.9 %" in body, "further" in body) == (True, False)


@pytest.mark.parametrize(
    "path", ["services.toml", "examples/production.toml", "examples/secured.toml", "tests/parity.toml"]
)
def test_the_registry_knows_the_number_of_resources(path: str, tmp_path: Path) -> None:
    registry = load_registry(FOLDER / path)
    assert registry.resources == len(synthesize(tmp_path, SERVICES=str(FOLDER / path))["Resources"])


NAMED = """
[services.{name}]
endpoint_service = "S{number}"
endpoint_port = 8080
listener_port = {number}
health_path = "/"
timeout_seconds = 10
routes = [{{ key = "GET /{number}" }}]
"""


def test_a_service_may_have_the_name_of_any_other_construct(tmp_path: Path) -> None:
    ids = {construct.node.id for construct in build(ENVIRON, outdir=str(tmp_path)).node.find_all()}
    lower = {re.sub("(?<=[a-z])(?=[A-Z])", hyphen, id).lower() for id in ids for hyphen in ("", "-")}
    names = sorted(name for name in lower if re.fullmatch("[a-z][a-z0-9-]{0,29}", name))
    assert {"api", "alarms", "load-balancer", "latency", "throttled", "todo-none", "default"} <= set(names)
    for half in (names[::2], names[1::2]):  # a load balancer has 50 listeners
        registry = "[api]\nthrottle = { rate = 1, burst = 1 }" + "".join(
            NAMED.format(name=name, number=number) for number, name in enumerate(half, start=1)
        )
        (tmp_path / "services.toml").write_text(registry)
        document = synthesize(tmp_path / half[0], SERVICES=str(tmp_path / "services.toml"))
        Template.from_json(document).resource_count_is(ENDPOINT, len(half))
