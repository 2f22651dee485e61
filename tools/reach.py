"""Who reaches whom on which port, who may call which route, and who may do what: the short table of one template.

Two members reach each other if the rules of both allow it; whether a program uses the connection does not matter.
"""

import re
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from tools.resources import Resource, flat, items

API, LISTENER = "AWS::ApiGatewayV2", "AWS::ElasticLoadBalancingV2::Listener"
GROUP, ENDPOINT, FIREWALL = "AWS::EC2::SecurityGroup", "AWS::EC2::VPCEndpoint", "AWS::Route53Resolver::Firewall"
GROUPS, SUBNETS = ("SecurityGroups", "SecurityGroupIds"), ("Subnets", "SubnetIds", "VPCZoneIdentifier")
NOWHERE = "255.255.255.255/32"  # the CDK writes this range for a group without egress
NO_PEER = {"Description", "FromPort", "GroupId", "IpProtocol", "ToPort"}
IN_COLUMNS = {"Action", "Effect", "Principal", "Resource", "Sid"}
REFERENCE = re.compile(r"(?:integrations/)?\$\{([^}.]+)(?:\.[^}]+)?\}")

Row = tuple[str, str, str]


class Ports(NamedTuple):
    """A protocol and its ports; -1 is every protocol, as in CloudFormation."""

    protocol: str
    first: int
    last: int

    def __str__(self) -> str:
        ports = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        return {"tcp": ports, "-1": "all"}.get(self.protocol, f"{self.protocol} {ports}")

    def meet(self, other: "Ports") -> "Ports | None":
        """The traffic that passes both."""
        protocol = other.protocol if self.protocol == "-1" else self.protocol
        first, last = max(self.first, other.first), min(self.last, other.last)
        passes = other.protocol in ("-1", protocol) and first <= last
        return Ports(protocol, first, last) if passes else None


ALL = Ports("-1", 0, 65535)


class Member(NamedTuple):
    """A resource with addresses in the VPC: a load balancer, VPC link, interface endpoint, service or fleet."""

    name: str
    groups: list[str]
    subnets: list[str]


class Rule(NamedTuple):
    """A security group's rule for one member of the group; the peer is a group of the template, or a range for anybody."""

    member: Member
    peer: str
    ports: Ports
    is_range: bool

    def admits(self, other: Member) -> bool:
        return self.is_range or self.peer in other.groups


def find(told: Any, *keys: str) -> list[str]:
    """The texts below `keys`; a text that is one reference becomes the logical id."""
    if isinstance(told, Resource):
        told = told.told
    if isinstance(told, str):
        return [] if keys else [found[1] if (found := REFERENCE.fullmatch(told)) else told]
    return [text for key, inner in items(told) for text in find(inner, *(() if key in keys else keys))]


class Network:
    """One template; each method that yields rows reads one part of the table."""

    def __init__(self, resources: list[Resource]) -> None:
        self.resources = {resource.logical_id: resource for resource in resources}
        self.members = list(self._members())
        self.ingress, self.egress = list(self._rules("Ingress")), list(self._rules("Egress"))

    def of_type(self, *types: str) -> list[Resource]:
        return [resource for resource in self.resources.values() if resource.type in types]

    def follow(self, told: Any, *keys: str) -> list[Resource]:
        """The resources that the values below `keys` reference."""
        return [self.resources[name] for name in find(told, *keys) if name in self.resources]

    def _members(self) -> Iterator[Member]:
        for resource in self.resources.values():
            launched = [resource, *self.follow(resource, "LaunchTemplateId")]
            if subnets := find(launched, *SUBNETS):
                yield Member(_label(resource), find(launched, *GROUPS), subnets)

    def _rules(self, direction: str) -> Iterator[Rule]:
        apart = [rule.properties for rule in self.of_type(f"{GROUP}{direction}")]
        for group in self.of_type(GROUP):
            own = [rule for rule in apart if group.logical_id in find(rule, "GroupId")]
            rules = [*group.properties.get(f"SecurityGroup{direction}", []), *own]
            # AWS lets a group without any egress rule send everything everywhere.
            if direction == "Egress" and not rules:
                rules = [{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}]
            members = [member for member in self.members if group.logical_id in member.groups]
            for rule in rules:
                ports = Ports(rule["IpProtocol"], int(rule.get("FromPort", 0)), int(rule.get("ToPort", 65535)))
                # AWS ignores the ports of a rule for every protocol.
                ports = ALL if ports.protocol == "-1" else ports
                peers = {*find([inner for key, inner in rule.items() if key not in NO_PEER])} - {NOWHERE}
                for member, peer in product(members, peers):
                    yield Rule(member, peer, ports, peer not in self.resources)

    def flows(self) -> Iterator[Row]:
        """From, port, to."""
        yield from self._inside()
        yield from self._outside()
        yield from self._private_link()
        yield from self._names()
        yield from self._clients()

    def _clients(self) -> Iterator[Row]:
        """By the generated name, unless that is disabled, and by each domain that is mapped to the API."""
        for api in self.of_type(f"{API}::Api"):
            if "true" not in find(api, "DisableExecuteApiEndpoint"):
                yield "internet", "443", api.logical_id
        for mapping in self.of_type(f"{API}::ApiMapping"):
            domain = self.follow(mapping, "DomainName")
            names, trusted = find(domain, "DomainName"), find(domain, "TruststoreUri")
            clients = " with a certificate of ".join(["internet", *trusted])
            yield clients, "443", f"{', '.join(find(mapping, 'ApiId'))} as {', '.join(names)}"

    def _inside(self) -> Iterator[Row]:
        for sent, taken in product(self.egress, self.ingress):
            ports = sent.ports.meet(taken.ports)
            if ports and sent.admits(taken.member) and taken.admits(sent.member):
                yield sent.member.name, str(ports), taken.member.name

    def _outside(self) -> Iterator[Row]:
        """Ranges that may enter, egress through gateway endpoints, and members of other templates' groups and subnets."""
        yield from ((rule.peer, str(rule.ports), rule.member.name) for rule in self.ingress if rule.is_range)
        associations = self.of_type("AWS::EC2::SubnetRouteTableAssociation")
        for rule in [rule for rule in self.egress if rule.is_range]:
            own = [each for each in associations if {*find(each, "SubnetId")} & {*rule.member.subnets}]
            for gateway in self.of_type(ENDPOINT):
                if {*find(own, "RouteTableId")} & {*find(gateway, "RouteTableIds")}:
                    yield rule.member.name, str(rule.ports), _label(gateway)
        for member in self.members:
            for name in {*member.groups, *member.subnets} - self.resources.keys():
                yield member.name, "all", f"{name} of another template"

    def _private_link(self) -> Iterator[Row]:
        """A principal that an endpoint service admits reaches every listener of its load balancers, if need be once accepted."""
        for permissions in self.of_type("AWS::EC2::VPCEndpointServicePermissions"):
            service = self.follow(permissions, "ServiceId")
            once = ", once accepted" * ("true" in find(service, "AcceptanceRequired"))
            for principal, listener in product(find(permissions, "AllowedPrincipals"), self.of_type(LISTENER)):
                for balancer in {*find(service, "NetworkLoadBalancerArns")} & {*find(listener, "LoadBalancerArn")}:
                    yield principal + once, _port(listener), balancer

    def _names(self) -> Iterator[Row]:
        """The names that the VPC's resolver answers: no route and no security group stops a query."""
        for vpc in self.of_type("AWS::EC2::VPC"):
            firewalls = self.of_type(f"{FIREWALL}RuleGroupAssociation")
            used = [each.properties for each in firewalls if vpc.logical_id in find(each, "VpcId")]
            groups = self.follow(sorted(used, key=_priority), "FirewallRuleGroupId")
            for rule in [rule for group in groups for rule in sorted(group.properties["FirewallRules"], key=_priority)]:
                names = find(self.follow(rule, "FirewallDomainListId"), "Domains")
                if rule["Action"] != "BLOCK":
                    yield from ((vpc.logical_id, "53", f"Route 53 Resolver: {name}") for name in names)
                elif "*" in names and "Qtype" not in rule:
                    break
            else:
                yield vpc.logical_id, "53", "Route 53 Resolver: *"

    def listeners(self) -> Iterator[Row]:
        """Listener, port, target: a service, a fleet, or the endpoint whose addresses a custom resource looks up."""
        for listener in self.of_type(LISTENER):
            for group in self.follow(listener, "TargetGroupArn"):
                yield from ((_address(listener), port, target) for port, target in self._targets(group))

    def _targets(self, group: Resource) -> Iterator[tuple[str, str]]:
        for target in group.properties.get("Targets", []):
            calls = str(self.follow(target, "Id"))
            ends = [_label(end) for end in self.of_type(ENDPOINT) if f"${{{end.logical_id}}}" in calls]
            yield target["Port"], ", ".join(ends or find(target, "Id"))
        for resource in self.of_type("AWS::ECS::Service", "AWS::AutoScaling::AutoScalingGroup"):
            if group.logical_id in find(resource, "TargetGroupArn", "TargetGroupARNs"):
                yield (find(resource, "ContainerPort") or find(group, "Port"))[0], resource.logical_id

    def routes(self) -> Iterator[Row]:
        """Route, who may call it, where it leads."""
        for route in self.of_type(f"{API}::Route"):
            kind, authorizers = route.properties.get("AuthorizationType", "NONE"), self.follow(route, "AuthorizerId")
            asked = ["everybody" if kind == "NONE" else kind, *find(authorizers, "Issuer", "Audience")]
            scopes = " or ".join(find(route, "AuthorizationScopes"))
            integrations = self.follow(route, "Target")
            to = [*map(_address, self.follow(integrations, "IntegrationUri"))]
            to += [f"over TLS, with a certificate of {name}" for name in find(integrations, "ServerNameToVerify")]
            yield route.properties["RouteKey"], " ".join([*asked, scopes]).strip(), ", ".join(to)

    def permissions(self) -> Iterator[Row]:
        """Who, on what, may do what: each statement of each policy."""
        for resource in self.resources.values():
            through = f" through {resource.logical_id}" if resource.type == ENDPOINT else ""
            for statement in _statements(resource.told):
                who = ", ".join(find(statement, "Principal") or find(resource, "Roles"))
                on = ", ".join(find(statement, "Resource") or [resource.logical_id])
                rest = {key: inner for key, inner in statement.items() if key not in IN_COLUMNS}
                more = [f"{path} {text}" for path, text in flat(rest) if rest]
                deny = [effect for effect in find(statement, "Effect") if effect != "Allow"]
                yield who + through, on, ", ".join([*deny, *find(statement, "Action"), *more])


def _label(resource: Resource) -> str:
    """The logical id, with the service of an endpoint."""
    service = find(resource, "ServiceName") if resource.type == ENDPOINT else []
    return f"{resource.logical_id} ({', '.join(service)})" if service else resource.logical_id


def _priority(told: dict[str, str]) -> int:
    return int(told["Priority"])


def _port(listener: Resource) -> str:
    return " ".join([*find(listener, "Port"), *("(TLS)" for each in find(listener, "Protocol") if each == "TLS")])


def _address(listener: Resource) -> str:
    return ":".join([*find(listener, "LoadBalancerArn"), _port(listener)])


def _statements(told: Any) -> Iterator[Any]:
    for name, inner in items(told):
        yield from inner if name == "Statement" else _statements(inner)
