"""Edits that open a way: each operator makes one mistake, at every place of a template where it can be made.

An edit is a JSON merge patch (RFC 7396) of the template's resources: None removes.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

Json = dict[str, Any]
EC2, ELB, API = "AWS::EC2", "AWS::ElasticLoadBalancingV2", "AWS::ApiGatewayV2"
GROUP, ENDPOINT, SERVICE = f"{EC2}::SecurityGroup", f"{EC2}::VPCEndpoint", f"{EC2}::VPCEndpointService"
TASKS, INSTANCES = "AWS::ECS::Service", "AWS::AutoScaling::AutoScalingGroup"
DNS = "AWS::Route53Resolver::Firewall"


@dataclass(frozen=True)
class Mutant:
    folder: str
    operator: str
    resource: str
    number: int
    patch: Json

    def __str__(self) -> str:
        return f"{self.folder}-{self.operator}-{self.resource}-{self.number}"

    def apply(self, document: Json) -> Json:
        """The edited template; the original shares what is equal."""
        edited: Json = merged(document, {"Resources": self.patch})
        assert edited != document
        return edited


def merged(value: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    result |= {key: merged(result.get(key), change) for key, change in patch.items()}
    return {key: each for key, each in result.items() if each is not None}


def to(name: str, patch: Json) -> Json:
    """A patch of one resource's properties."""
    return {name: {"Properties": patch}}


def new(type: str, **properties: Any) -> Json:
    return {"Type": type, "Properties": properties}


def group_id(name: str) -> Json:
    return {"Fn::GetAtt": [name, "GroupId"]}


# --- what one property opens, whatever the rest of the template is

PROPERTIES: dict[str, list[tuple[str, Json]]] = {
    "makes_it_public": [
        (f"{EC2}::Subnet", {"MapPublicIpOnLaunch": True}),
        (f"{EC2}::Subnet", {"AssignIpv6AddressOnCreation": True}),
        (f"{ELB}::LoadBalancer", {"Scheme": "internet-facing"}),
        (f"{ELB}::LoadBalancer", {"Scheme": None}),  # then it is internet-facing
        (f"{ELB}::LoadBalancer", {"IpAddressType": "dualstack"}),
        (f"{ELB}::LoadBalancer", {"Subnets": None, "SubnetMappings": [{"SubnetId": "subnet-0bad", "AllocationId": "eipalloc-0bad"}]}),
        (TASKS, {"NetworkConfiguration": {"AwsvpcConfiguration": {"AssignPublicIp": "ENABLED"}}}),
        (TASKS, {"NetworkConfiguration": {"AwsvpcConfiguration": {"AssignPublicIp": None}}}),
        (f"{EC2}::LaunchTemplate", {"LaunchTemplateData": {"NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": True}]}}),
    ],
    "moves_it_elsewhere": [
        (f"{EC2}::SubnetRouteTableAssociation", {"RouteTableId": "rtb-0bad"}),
        (f"{ELB}::LoadBalancer", {"Subnets": ["subnet-0bad"]}),
        (f"{API}::VpcLink", {"SubnetIds": ["subnet-0bad"]}),
        (TASKS, {"NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": ["subnet-0bad"]}}}),
        (TASKS, {"LaunchType": "EC2"}),
        ("AWS::ECS::TaskDefinition", {"NetworkMode": "host"}),
        (INSTANCES, {"VPCZoneIdentifier": ["subnet-0bad"]}),
        (INSTANCES, {"LaunchTemplate": {"LaunchTemplateId": "lt-0bad"}}),
        ("AWS::Lambda::Function", {"VpcConfig": {"SubnetIds": ["subnet-0bad"]}}),
    ],
    "lets_somebody_in": [
        (TASKS, {"EnableExecuteCommand": True}),
        (TASKS, {"ServiceConnectConfiguration": {"Enabled": True}}),
        (TASKS, {"LoadBalancers": [{"ContainerName": "x", "ContainerPort": 8080, "TargetGroupArn": "arn:aws:bad"}]}),
        (INSTANCES, {"LoadBalancerNames": ["bad"]}),
        (INSTANCES, {"TargetGroupARNs": ["arn:aws:bad"]}),
        (SERVICE, {"SupportedRegions": [{"Region": "eu-west-1"}]}),
        (SERVICE, {"GatewayLoadBalancerArns": ["arn:aws:bad"]}),
    ],
    "sends_it_elsewhere": [
        (f"{ELB}::Listener", {"Port": 22}),
        (f"{ELB}::Listener", {"Protocol": "TCP_UDP"}),
        (f"{ELB}::Listener", {"DefaultActions": [{"Type": "forward", "TargetGroupArn": "arn:aws:bad"}]}),
        (f"{ELB}::TargetGroup", {"Targets": [{"Id": "203.0.113.9", "Port": 8080, "AvailabilityZone": "all"}]}),
        (f"{ELB}::TargetGroup", {"Targets": [{"Id": "10.0.0.9", "Port": 8080}]}),
        (f"{ELB}::TargetGroup", {"Protocol": "TCP_UDP"}),
        (f"{API}::Integration", {"IntegrationUri": "arn:aws:bad"}),
        (f"{API}::Integration", {"IntegrationUri": "https://example.com", "ConnectionType": "INTERNET", "ConnectionId": None}),
        (ENDPOINT, {"ServiceName": "com.amazonaws.vpce.us-west-2.vpce-svc-0bad"}),
        (ENDPOINT, {"ServiceRegion": "eu-west-1"}),
        (ENDPOINT, {"VpcEndpointType": "GatewayLoadBalancer"}),
        (ENDPOINT, {"ResourceConfigurationArn": "arn:aws:bad"}),
    ],
    "admits_others": [
        (f"{SERVICE}Permissions", {"AllowedPrincipals": principals})
        for principals in (["*"], ["arn:aws:iam::999999999999:root"], ["arn:aws:iam::111111111111:root", "*"])
    ],
}  # fmt: skip

# --- what depends on the rest of the template: from a resource's logical id and properties, and all resources

Operator = Callable[[str, Json, Json], Iterator[Json]]
OPERATORS: list[tuple[tuple[str, ...], Operator]] = []


def over(*types: str) -> Callable[[Operator], Operator]:
    def register(operator: Operator) -> Operator:
        OPERATORS.append((types, operator))
        return operator

    return register


def ids(resources: Json, *types: str) -> list[str]:
    return [name for name, resource in resources.items() if resource["Type"] in types]


RULES = (GROUP, f"{GROUP}Ingress", f"{GROUP}Egress")
SIDES = ("SecurityGroupIngress", "SecurityGroupEgress")
ANYWHERE, NOWHERE = "0.0.0.0/0", "255.255.255.255/32"  # CDK writes NOWHERE for no egress
EVERY_PORT = {"IpProtocol": "-1", "FromPort": None, "ToPort": None}


def change_rules(name: str, written: Json, change: Json) -> Iterator[Json]:
    """`change` made to a standalone rule, or to one after the other of a group's inline rules."""
    if "GroupId" in written:
        yield to(name, change)
    for side in SIDES:
        rules = written.get(side, [])
        for index, rule in enumerate(rules):
            if rule.get("CidrIp") != NOWHERE:
                yield to(name, {side: [*rules[:index], merged(rule, change), *rules[index + 1 :]]})


def sends_anywhere(written: Json, resources: Json) -> bool:
    """Whether this is an egress rule of a group that sends to every address already: no other peer opens more."""
    own = written["GroupId"]["Fn::GetAtt"][0] if "DestinationSecurityGroupId" in written else None
    return own is not None and ANYWHERE in str(resources[own])


@over(*RULES)
def widens_a_rule_to_more_ports(name: str, written: Json, _: Json) -> Iterator[Json]:
    for change in ({"FromPort": 0, "ToPort": 65535}, {"FromPort": 22}, {"ToPort": 9000}, EVERY_PORT):
        yield from change_rules(name, written, change)


@over(f"{GROUP}Egress")
def widens_both_rules_of_a_pair(name: str, written: Json, resources: Json) -> Iterator[Json]:
    ends = (written["DestinationSecurityGroupId"], written["GroupId"])
    for other in ids(resources, f"{GROUP}Ingress"):
        rule = resources[other]["Properties"]
        if (rule["GroupId"], rule["SourceSecurityGroupId"], rule["ToPort"]) == (*ends, written["ToPort"]):
            for change in ({"FromPort": 0, "ToPort": 65535}, EVERY_PORT):
                yield to(name, change) | to(other, change)


@over(*RULES)
def widens_a_rule_to_more_peers(name: str, written: Json, resources: Json) -> Iterator[Json]:
    groups = {"SourceSecurityGroupId": None, "DestinationSecurityGroupId": None}
    if ANYWHERE not in str(written) and not sends_anywhere(written, resources):
        for range_ in (ANYWHERE, "10.0.0.0/16"):
            yield from change_rules(name, written, {**groups, "CidrIp": range_})
    yield from change_rules(name, written, {**groups, "CidrIp": None, "CidrIpv6": "::/0"})


@over(GROUP)
def adds_a_pair_of_rules(name: str, _: Json, resources: Json) -> Iterator[Json]:
    port = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    for other in ids(resources, GROUP):
        sent = new(
            f"{GROUP}Egress", GroupId=group_id(name), DestinationSecurityGroupId=group_id(other), **port
        )
        taken = new(f"{GROUP}Ingress", GroupId=group_id(other), SourceSecurityGroupId=group_id(name), **port)
        yield {"Sent": sent, "Taken": taken}


@over(GROUP)
def opens_a_group_to_a_range(name: str, written: Json, _: Json) -> Iterator[Json]:
    for range_, side in product((ANYWHERE, "10.0.0.0/16"), SIDES):
        yield to(name, {side: [*written.get(side, []), {"CidrIp": range_, "IpProtocol": "-1"}]})


@over(GROUP)
def removes_all_egress_rules(name: str, _: Json, resources: Json) -> Iterator[Json]:
    # Then AWS lets the group send everything everywhere.
    rules = ids(resources, f"{GROUP}Egress")
    own = [rule for rule in rules if resources[rule]["Properties"]["GroupId"] == group_id(name)]
    yield {**to(name, {"SecurityGroupEgress": None}), **dict.fromkeys(own)}


MEMBERS = (f"{ELB}::LoadBalancer", f"{API}::VpcLink", ENDPOINT, f"{EC2}::LaunchTemplate", TASKS)


@over(*MEMBERS)
def changes_the_groups_of_a_member(name: str, written: Json, resources: Json) -> Iterator[Json]:
    text = json.dumps(written)
    for own in ids(resources, GROUP):
        groups = json.dumps([group_id(own)])
        others = [group_id(other) for other in ids(resources, GROUP) if other != own]
        if groups in text:
            for changed in (
                [],
                ["sg-0bad"],
                *([other] for other in others),
                *([group_id(own), other] for other in others),
            ):
                yield to(name, json.loads(text.replace(groups, json.dumps(changed))))


RETARGETED = (GROUP, f"{ELB}::TargetGroup", f"{ELB}::LoadBalancer", f"{ELB}::Listener", "Custom::AWS")


@over(*RULES, f"{ELB}::Listener", f"{ELB}::TargetGroup", f"{API}::Integration")
def retargets_a_reference(name: str, written: Json, resources: Json) -> Iterator[Json]:
    text = json.dumps(written)
    for type in RETARGETED:
        for old, other in product(ids(resources, type), repeat=2):
            if f'"{old}"' in text and old != other and not sends_anywhere(written, resources):
                yield to(name, json.loads(text.replace(f'"{old}"', f'"{other}"')))


@over(f"{EC2}::RouteTable")
def adds_a_route_out(name: str, _: Json, __: Json) -> Iterator[Json]:
    targets = (
        "Gateway NatGateway TransitGateway VpcPeeringConnection NetworkInterface CarrierGateway VpcEndpoint"
    )
    for target, destination in product(targets.split(), (ANYWHERE, "10.9.0.0/16")):
        route = {"RouteTableId": {"Ref": name}, "DestinationCidrBlock": destination, f"{target}Id": "bad"}
        yield {"Out": new(f"{EC2}::Route", **route)}


# Nobody has computed yet what these open.
UNKNOWN = (
    "EC2::InternetGateway EC2::NatGateway EC2::EIP EC2::VPCGatewayAttachment EC2::EgressOnlyInternetGateway"
    " EC2::VPCPeeringConnection EC2::TransitGatewayAttachment EC2::VPNGateway EC2::ClientVpnEndpoint EC2::Instance"
    " EC2::InstanceConnectEndpoint EC2::NetworkInterface EC2::VPCCidrBlock ElasticLoadBalancingV2::ListenerRule"
    " Lambda::Url RDS::DBInstance VpcLattice::ServiceNetworkVpcAssociation CloudFormation::Stack"
)


@over(f"{EC2}::VPC")
def adds_a_resource(name: str, _: Json, __: Json) -> Iterator[Json]:
    for type in UNKNOWN.split():
        yield {"Added": new(f"AWS::{type}", VpcId={"Ref": name})}


@over(f"{ELB}::Listener")
def adds_a_listener(_: str, written: Json, __: Json) -> Iterator[Json]:
    yield {"Added": new(f"{ELB}::Listener", **{**written, "Port": 22})}


@over(f"{ELB}::TargetGroup")
def sends_to_another_port(name: str, written: Json, __: Json) -> Iterator[Json]:
    targets = written.get("Targets", [])
    for target in targets:
        yield to(name, {"Targets": [*targets, {**target, "Port": 22}]})


@over(f"{ELB}::LoadBalancer")
def publishes_a_load_balancer(name: str, _: Json, __: Json) -> Iterator[Json]:
    yield {
        **to(name, {"EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic": "off"}),
        "Added": new(SERVICE, NetworkLoadBalancerArns=[{"Ref": name}]),
        "Admits": new(f"{SERVICE}Permissions", ServiceId={"Ref": "Added"}, AllowedPrincipals=["*"]),
    }


@over(ENDPOINT)
def adds_an_endpoint_like_it(_: str, written: Json, __: Json) -> Iterator[Json]:
    for service in ("com.amazonaws.us-west-2.execute-api", "com.amazonaws.vpce.us-west-2.vpce-svc-0bad"):
        yield {"Added": new(ENDPOINT, **{**written, "ServiceName": service})}


@over(ENDPOINT)
def widens_an_endpoint_policy(name: str, written: Json, _: Json) -> Iterator[Json]:
    statements = written.get("PolicyDocument", {}).get("Statement", [])
    if statements:
        yield to(name, {"PolicyDocument": None})
    for index, key in product(range(len(statements)), ("Action", "Resource", "NotAction", "NotResource")):
        widened = {**statements[index], key: "*"}
        widened.pop("Condition", None)
        yield to(name, {"PolicyDocument": {"Statement": [*statements, widened]}})
        yield to(
            name, {"PolicyDocument": {"Statement": [*statements[:index], widened, *statements[index + 1 :]]}}
        )


@over(f"{DNS}RuleGroupAssociation")
def removes_the_dns_firewall(name: str, _: Json, resources: Json) -> Iterator[Json]:
    if ids(resources, TASKS, INSTANCES):  # nobody else asks
        yield {name: None}
        yield to(name, {"VpcId": "vpc-0bad"})


@over(f"{DNS}DomainList")
def answers_for_other_names(name: str, _: Json, resources: Json) -> Iterator[Json]:
    if ids(resources, TASKS, INSTANCES):
        yield to(name, {"Domains": ["*.example.com"]})
        yield to(name, {"DomainFileUrl": "s3://bad"})


@over(f"{DNS}RuleGroup")
def weakens_a_dns_rule(name: str, written: Json, resources: Json) -> Iterator[Json]:
    rules = written["FirewallRules"]
    block = next(rule for rule in rules if rule["Action"] == "BLOCK")
    changed = [{**block, **change} for change in ({"Action": "ALLOW"}, {"Action": "ALERT"}, {"Qtype": "A"})]
    first = {**block, "Action": "ALLOW", "Priority": 1}
    if ids(resources, TASKS, INSTANCES):
        for rest in ([], *([each] for each in changed), [block, first]):
            yield to(name, {"FirewallRules": [*(rule for rule in rules if rule is not block), *rest]})


def mutants(folder: str, document: Json) -> Iterator[Mutant]:
    resources = document["Resources"]
    for operator, changes in PROPERTIES.items():
        for number, (type, patch) in enumerate(changes):
            for name in ids(resources, type):
                yield Mutant(folder, operator, name, number, to(name, patch))
    for types, function in OPERATORS:
        for name in ids(resources, *types):
            patches = function(name, resources[name].get("Properties", {}), resources)
            for number, patch in enumerate(patches):
                yield Mutant(folder, function.__name__, name, number, patch)
