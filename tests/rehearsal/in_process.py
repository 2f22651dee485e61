"""The accounts in this process, without server and CDK CLI: thousands of updates, and a look after every step."""

import io
import json
import os
import subprocess
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from botocore.exceptions import ClientError
from moto import mock_aws
from moto.acm.models import acm_backends
from moto.cloudformation.models import cloudformation_backends
from moto.moto_api._internal import mock_random
from moto.route53.models import route53_backends

from tools.synth import ROOT, Document, settings

from . import operations, privatelink, server
from .bindings import client
from .environment import FOLDER, GATEWAY, REGION

ZONES = ("usw2-az1", "usw2-az2")
# Importing the CDK costs most of a synth: one process makes all templates of a folder, and compares the gateway's.
SYNTH = """
import json, os, sys
from pathlib import Path
from tempfile import TemporaryDirectory
sys.path.insert(0, "")
import app
for line in sys.stdin:
    asked = json.loads(line)
    if isinstance(asked, list):
        from infra.changes import compare_routes
        answer = [each._asdict() for each in compare_routes(*asked)]
    else:
        with TemporaryDirectory() as into:
            app.build({**os.environ, **asked}, into).synth()
            answer = json.loads(Path(into, sys.argv[1]).read_text())
    print(json.dumps(answer), flush=True)
"""
Registry = dict[str, Any]
Routes = dict[str, dict[str, Any]]  # by route key


OPEN, SECURED, EVERYTHING = (
    tomllib.loads((ROOT / "global-apigw" / name).read_text())
    for name in ("services.toml", "examples/secured.toml", "examples/everything.toml")
)
CLIENTS = (ROOT / "global-apigw/examples/clients.pem").read_text()
UPDATES = tomllib.loads(Path(__file__).with_name("updates.toml").read_text())


class Done(NamedTuple):
    """The status after a deploy, the steps that it took, and the reasons of failures."""

    status: str
    steps: list[str]
    reasons: list[str]


class Injected(Exception):
    """A failure that a test asked for."""


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    return f"[{', '.join(map(toml, value))}]" if isinstance(value, list) else json.dumps(value)


class Synth:
    """Templates of a folder, each made once."""

    def __init__(self, folder: str, scratch: Path) -> None:
        python = ROOT / folder / ".venv/bin"
        environ = {
            **os.environ,
            **settings(folder),
            "CDK_VALIDATION": "false",
            "PATH": f"{python}:{os.environ['PATH']}",
        }
        self.process = subprocess.Popen(
            [python / "python", "-c", SYNTH, f"{folder}.template.json"], cwd=ROOT / folder, env=environ, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.made: dict[str, Document] = {}
        self.file = scratch / "services.toml"
        for name, text in (("clients.pem", CLIENTS), ("other.pem", f"{CLIENTS}\n")):
            (scratch / name).write_text(text)

    def __call__(self, registry: Registry | None = None, **changed: str) -> Document:
        key = json.dumps([registry, changed], sort_keys=True)
        if key not in self.made:
            if registry:
                self.file.write_text("".join(f"{name} = {toml(value)}\n" for name, value in registry.items()))
                changed["SERVICES"] = str(self.file)
            self.made[key] = self.ask(changed)
        return self.made[key]

    def ask(self, question: Any) -> Any:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@contextmanager
def synths() -> Iterator[dict[str, Synth]]:
    with TemporaryDirectory() as scratch:
        found = {folder: Synth(folder, Path(scratch)) for folder in FOLDER.values()}
        try:
            yield found
        finally:
            for each in found.values():
                each.process.communicate()


@contextmanager
def accounts() -> Iterator[None]:
    """Three bootstrapped accounts, as far as the templates ask for it."""
    server.install()
    with mock_aws():
        mock_random.seed(12)  # ids are the same in every run
        for account in FOLDER:
            version = {"Name": "/cdk-bootstrap/hnb659fds/version", "Value": "30", "Type": "String"}
            client("ssm", account, REGION).put_parameter(**version)
            bucket = f"cdk-hnb659fds-assets-{account}-{REGION}"
            where = {"LocationConstraint": REGION}
            client("s3", account, REGION).create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
        yield


def upload(account: str, key: str, content: str | bytes) -> str:
    """The URL of an object in the bucket of the bootstrap."""
    bucket = f"cdk-hnb659fds-assets-{account}-{REGION}"
    client("s3", account, REGION).put_object(Bucket=bucket, Key=key, Body=content)
    return f"https://{bucket}.s3.{REGION}.amazonaws.com/{key}"


def upload_assets(account: str, template: Document) -> None:
    """moto reads the code of a function when it makes the function, and the rehearsal the truststore of a domain."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("index.py", "")
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            upload(account, resource["Properties"]["Code"]["S3Key"], archive.getvalue())
        elif mutual := resource.get("Properties", {}).get("MutualTlsAuthentication"):
            upload(account, mutual["TruststoreUri"].rpartition("/")[2], CLIENTS)


def ignore(step: str, type: str) -> None:
    """Nobody looks."""


def deploy(
    account: str, template: Document, *, look: Callable[[str, str], None] = ignore, fail: tuple[int, str] | None = None
) -> Done:
    """As the CDK CLI does it, with a `look` at each step and its type. `fail` is the number of a step, and before or after."""
    cloudformation, name, steps = client("cloudformation", account, REGION), FOLDER[account], list[str]()
    if fail is None:
        upload_assets(account, template)

    def step(when: str, stack: Any, verb: str, logical_id: str) -> None:
        if when == "before":
            steps.append(f"{verb} {logical_id}")
        else:
            look(steps[-1], stack.events[-1].resource_type)
        if fail == (len(steps) - 1, when):
            raise Injected(f"injected {when} {steps[-1]}")

    try:
        [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
        kind = "UPDATE"
        if stack["StackStatus"] == "ROLLBACK_COMPLETE":
            cloudformation.delete_stack(StackName=name)
            kind = "CREATE"
    except ClientError:
        kind = "CREATE"
    arguments = {"StackName": name, "ChangeSetName": "cdk"}
    # CloudFormation takes no template of more than 51,200 bytes in the call itself.
    url = upload(account, "template.json", json.dumps(template))
    cloudformation.create_change_set(**arguments, ChangeSetType=kind, TemplateURL=url)
    if cloudformation.describe_change_set(**arguments)["Status"] == "FAILED":
        return Done("no changes", [], [])
    before, after = (partial(step, when) for when in ("before", "after"))
    operations.BEFORE.append(before)
    operations.AFTER.append(after)
    try:
        cloudformation.execute_change_set(**arguments)
    finally:
        operations.BEFORE.remove(before)
        operations.AFTER.remove(after)
    stack = cloudformation_backends[account][REGION].get_stack(name)
    reasons = [str(each.resource_status_reason) for each in stack.events if each.resource_status.endswith("_FAILED")]
    stack.events.clear()  # the next deploy looks for its own
    return Done(stack.status, steps, reasons)


def issue(account: str, name: str, arn: str = "", region: str = REGION) -> str:
    """The ARN of an issued certificate of the name; it is the `arn` that is given, if any."""
    made = client("acm", account, region).request_certificate(DomainName=name)["CertificateArn"]
    certificates = acm_backends[account][region]._certificates
    certificate = certificates.pop(made)
    certificate.arn, certificate.status = arn or made, "ISSUED"
    certificates[certificate.arn] = certificate
    return str(certificate.arn)


def own_domain() -> None:
    """The certificate and the hosted zone of the examples; moto gives ids of its own."""
    domain = EVERYTHING["api"]["domain"]
    issue(GATEWAY, domain["name"], domain["certificate"])
    zone = client("route53", GATEWAY, REGION).create_hosted_zone(Name="example.com.", CallerReference="rehearsal")
    zones = route53_backends[GATEWAY]["aws"].zones
    zones[domain["hosted_zone"]] = zones.pop(zone["HostedZone"]["Id"].rpartition("/")[2])


def provider(account: str, region: str = REGION, zones: Sequence[str] = ZONES, regions: Sequence[str] = ()) -> str:
    """The name of a new endpoint service, before which a load balancer stands; it is offered to other `regions`, too."""
    ec2, elb = client("ec2", account, region), client("elbv2", account, region)
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    nets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{n}.0/24", AvailabilityZoneId=zone)["Subnet"]["SubnetId"]
        for n, zone in enumerate(zones)
    ]
    name = f"provider-{len(elb.describe_load_balancers()['LoadBalancers'])}"
    balancer = elb.create_load_balancer(Name=name, Type="network", Scheme="internal", Subnets=nets)["LoadBalancers"][0]
    arn = balancer["LoadBalancerArn"]
    group = elb.create_target_group(Name=name, Protocol="TCP", Port=8080, VpcId=vpc)["TargetGroups"][0]
    to = {"LoadBalancerArn": arn, "DefaultActions": [{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}]}
    for port in (8080, 8081):
        elb.create_listener(Port=port, Protocol="TCP", **to)
    certificates = [{"CertificateArn": issue(account, "any.example.com", region=region)}]
    elb.create_listener(Port=8443, Protocol="TLS", Certificates=certificates, **to)
    made = ec2.create_vpc_endpoint_service_configuration(
        NetworkLoadBalancerArns=[arn], AcceptanceRequired=False, SupportedRegions=regions
    )["ServiceConfiguration"]
    admitted = [f"arn:aws:iam::{GATEWAY}:root"]
    ec2.modify_vpc_endpoint_service_permissions(ServiceId=made["ServiceId"], AddAllowedPrincipals=admitted)
    return str(made["ServiceName"])


class Gateway:
    """What clients meet, by the gateway's own APIs. Answers stay known until a step changes them."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}

    def forget(self, type: str = "") -> None:
        """What a step of this type changes, or everything."""
        for call in UPDATES["reads"].get(type.rpartition("::")[2], []) if type else [*self.known]:
            self.known.pop(call, None)

    def ask(self, call: str, **arguments: str | list[str]) -> Any:
        """The list in the answer, or the answer."""
        service, _, name = call.partition(".")
        known, key = self.known.setdefault(name, {}), str(arguments)
        if key not in known:
            answer = getattr(client(service, GATEWAY, REGION), name)(**arguments)
            lists = [value for value in answer.values() if isinstance(value, list)]
            known[key] = answer if name in ("get_stage", "get_authorizer") else lists[0]
        return known[key]

    def lets_through(self, source: list[str], target: list[str], port: int) -> bool:
        """A rule of a source group allows the way out, and a rule of a target group the way in."""
        groups = {each["GroupId"]: each for each in self.ask("ec2.describe_security_groups")}
        return all(
            any(
                rule.get("FromPort", -1) <= port <= rule.get("ToPort", -1)
                and {pair["GroupId"] for pair in rule["UserIdGroupPairs"]} & {*peers}
                for name in names
                for rule in groups[name][kind]
            )
            for names, kind, peers in ((source, "IpPermissionsEgress", target), (target, "IpPermissions", source))
        )

    def services(self, listener_arn: str, link: list[str], server_name: str) -> set[str]:
        """The endpoint services that answer behind the listener, over TLS if the server has a name."""
        [balancer] = self.ask("elbv2.describe_load_balancers")
        own, arn = balancer["SecurityGroups"], balancer["LoadBalancerArn"]
        listeners = self.ask("elbv2.describe_listeners", LoadBalancerArn=arn)
        [listener] = [each for each in listeners if each["ListenerArn"] == listener_arn]
        if not self.lets_through(link, own, listener["Port"]):
            return set()
        placed = self.ask("ec2.describe_network_interfaces")
        address = {each["NetworkInterfaceId"]: each["PrivateIpAddress"] for each in placed}
        ends = [end for end in self.ask("ec2.describe_vpc_endpoints") if end["State"] == "available"]
        behind = {address[eni]: end for end in ends for eni in end.get("NetworkInterfaceIds", ())}
        group = listener["DefaultActions"][0]["TargetGroupArn"]
        targets = self.ask("elbv2.describe_target_health", TargetGroupArn=group)
        healthy = [each["Target"] for each in targets if each["TargetHealth"]["State"] == "healthy"]
        reached = [(behind[each["Id"]], each["Port"]) for each in healthy]
        return {
            end["ServiceName"]
            for end, port in reached
            if self.lets_through(own, [each["GroupId"] for each in end["Groups"]], port)
            and (privatelink.protocol(end["ServiceName"], port) == "TLS") == bool(server_name)
        }

    def routes(self) -> Routes:
        [http] = self.ask("apigatewayv2.get_apis")
        api = {"ApiId": http["ApiId"]}
        integrations = {each["IntegrationId"]: each for each in self.ask("apigatewayv2.get_integrations", **api)}
        links = {each["VpcLinkId"]: each["SecurityGroupIds"] for each in self.ask("apigatewayv2.get_vpc_links")}
        stage = self.ask("apigatewayv2.get_stage", **api, StageName="$default")
        found: Routes = {}
        for route in self.ask("apigatewayv2.get_routes", **api):
            integration = integrations[route["Target"].removeprefix("integrations/")]
            kind, jwt = route["AuthorizationType"], None
            if kind == "JWT":
                authorizer = self.ask("apigatewayv2.get_authorizer", **api, AuthorizerId=route["AuthorizerId"])
                jwt = authorizer["JwtConfiguration"]
            # Else a client could call itself anybody.
            identity = {"NONE": "remove", "JWT": "overwrite"}[kind] + ":header.x-auth-subject"
            assert identity in integration["RequestParameters"], f"{route['RouteKey']} lets clients set the subject"
            server_name = integration.get("TlsConfig", {}).get("ServerNameToVerify", "")
            settings = stage["RouteSettings"].get(route["RouteKey"], stage["DefaultRouteSettings"])
            found[route["RouteKey"]] = {
                "services": self.services(
                    integration["IntegrationUri"], links[integration["ConnectionId"]], server_name
                ),
                "tls": server_name,
                "authorization": (kind, jwt, sorted(route.get("AuthorizationScopes") or [])),
                "throttle": (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]),
                "timeout": integration["TimeoutInMillis"],
                "cors": http.get("CorsConfiguration", {}).get("AllowOrigins", []),
            }
        return found


def expected(registry: Registry, names: Mapping[str, str]) -> Routes:
    """What they should meet, by the registry and the names of the endpoint services."""
    api = registry["api"]
    jwt = api.get("jwt") and {"Issuer": api["jwt"]["issuer"], "Audience": api["jwt"]["audience"]}
    found: Routes = {}
    for service in registry["services"].values():
        for route in service["routes"]:
            is_open = route.get("auth", "none") == "none"
            throttle = route.get("throttle", api["throttle"])
            found[route["key"]] = {
                "services": {names[service["endpoint_service"]]},
                "tls": service.get("tls", {}).get("server_name", ""),
                "authorization": ("NONE", None, []) if is_open else ("JWT", jwt, sorted(route.get("scopes", []))),
                "throttle": (throttle["rate"], throttle["burst"]),
                "timeout": service["timeout_seconds"] * 1000,
                "cors": api.get("cors_origins", []),
            }
    return found


def clean_up() -> None:
    """What `preflight.py deployed` and `preflight.py failed` of the gateway do."""
    api, cloudformation = client("apigatewayv2", GATEWAY, REGION), client("cloudformation", GATEWAY, REGION)
    resources = cloudformation.get_template(StackName=FOLDER[GATEWAY])["TemplateBody"]["Resources"].values()
    [kept] = [each["Properties"].get("RouteSettings", {}) for each in resources if each["Type"].endswith("::Stage")]
    with_mutual_tls = [each for each in resources if "MutualTlsAuthentication" in each.get("Properties", {})]
    for name in api.get_domain_names()["Items"]:
        if name.get("MutualTlsAuthentication", {}).get("TruststoreUri") and not with_mutual_tls:
            api.update_domain_name(DomainName=name["DomainName"], MutualTlsAuthentication={"TruststoreUri": ""})
    for http in api.get_apis()["Items"]:
        for stage in api.get_stages(ApiId=http["ApiId"])["Items"]:
            for key in stage["RouteSettings"].keys() - kept.keys():
                api.delete_route_settings(ApiId=http["ApiId"], StageName=stage["StageName"], RouteKey=key)


class Invariant:
    """After every step, a route of before and after leads to a healthy target of its service, under its authorization."""

    def __init__(self, gateway: Gateway, old: Routes, new: Routes) -> None:
        self.gateway, self.old, self.new, self.broken = gateway, old, new, list[str]()

    def __call__(self, step: str, type: str) -> None:
        self.gateway.forget(type)
        now = self.gateway.routes()
        for key in self.old.keys() & self.new.keys():
            old, new, way = self.old[key], self.new[key], now.get(key, {"services": set(), "authorization": None})
            if not way["services"] or not way["services"] <= old["services"] | new["services"]:
                self.broken.append(f"{key} leads to {way['services'] or 'nobody'} after {step}")
            if way["authorization"] not in (old["authorization"], new["authorization"]):
                self.broken.append(f"{key} has the authorization {way['authorization']} after {step}")


class Team:
    """Deploys registries, and looks at the routes after every step."""

    def __init__(self, synth: Synth, names: dict[str, str]) -> None:
        self.synth, self.names, self.gateway = synth, names, Gateway()
        self.now, self.has_stack = OPEN, False

    def begin(self, registry: Registry) -> None:
        """Whatever was deployed before: nobody looks."""
        deploy(GATEWAY, self.synth(registry, **self.names))
        clean_up()
        self.now, self.has_stack = registry, True
        self.gateway.forget()

    def changes(self, registry: Registry) -> list[Document]:
        """What `make diff` tells of a deploy of this registry."""
        templates = (self.synth(each, **self.names) for each in (self.now, registry))
        return [*self.synth.ask([*templates])]

    def deploy(self, registry: Registry, fail: tuple[int, str] | None = None) -> Done:
        now = expected(self.now, self.names) if self.has_stack else {}
        look = Invariant(self.gateway, now, expected(registry, self.names))
        done = deploy(GATEWAY, self.synth(registry, **self.names), fail=fail, look=look if now else ignore)
        assert not look.broken, look.broken
        self.has_stack = done.status != "ROLLBACK_COMPLETE"
        if done.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "no changes"):
            self.now = registry
        if self.has_stack:
            clean_up()
            for type in ("TargetGroup", "Stage") if now and not done.reasons else ("",):
                self.gateway.forget(type)  # new targets are healthy now
            found, wanted = self.gateway.routes(), expected(self.now, self.names)
            assert found == wanted, (found, wanted)
        return done
