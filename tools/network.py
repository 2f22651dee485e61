"""The parts of a synthesized template's network: who has addresses, and which rules, listeners and ways out there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tools.shapes import API, DNS, ELB, VPC, check
from tools.template import Template, TemplateError

GROUP, SUBNET, TABLE = f"{VPC}::SecurityGroup", f"{VPC}::Subnet", f"{VPC}::RouteTable"
ENDPOINT, SERVICE, LAUNCH = f"{VPC}::VPCEndpoint", f"{VPC}::VPCEndpointService", f"{VPC}::LaunchTemplate"
BALANCER, LISTENER, TARGETS = f"{ELB}::LoadBalancer", f"{ELB}::Listener", f"{ELB}::TargetGroup"
TASKS, INSTANCES = "AWS::ECS::Service", "AWS::AutoScaling::AutoScalingGroup"
ROUTE_TARGETS = ("GatewayId", "NatGatewayId", "TransitGatewayId", "VpcPeeringConnectionId")


class Ports(NamedTuple):
    """A protocol and its ports; -1 is every protocol, as in CloudFormation."""

    protocol: str
    first: int
    last: int

    def __str__(self) -> str:
        ports = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        return {"tcp": ports, "-1": "all"}.get(self.protocol, f"{self.protocol} {ports}")

    def __bool__(self) -> bool:
        return self.first <= self.last

    def meet(self, other: Ports) -> Ports:
        """What passes both, which may be nothing."""
        protocol = other.protocol if self.protocol == "-1" else self.protocol
        if other.protocol not in ("-1", protocol):
            return NO_PORT
        return Ports(protocol, max(self.first, other.first), min(self.last, other.last))


EVERY_PORT, NO_PORT = Ports("-1", 0, 65535), Ports("-1", 0, -1)


def tcp(port: int) -> Ports:
    return Ports("tcp", port, port)


class Member(NamedTuple):
    """What has addresses in the VPC; an endpoint has a name for each thing that its policy allows."""

    where: str
    names: tuple[str, ...]
    group: str
    tables: frozenset[str]  # the route tables of its subnets


class Rule(NamedTuple):
    """A rule of a security group; its peer is another group of the template, or a range of addresses."""

    where: str
    group: str
    peer: str
    ports: Ports

    @property
    def is_range(self) -> bool:
        return "/" in self.peer

    def lets(self, owner: Member, other: Member) -> bool:
        """Whether `owner` has this rule, and for `other`: a range may hold anybody's address."""
        return self.group == owner.group and (self.is_range or self.peer == other.group)


class Way(NamedTuple):
    """A route or a gateway endpoint: it leads out of the VPC from the subnets of its route tables."""

    where: str
    names: tuple[str, ...]
    tables: frozenset[str]


class Listener(NamedTuple):
    """A port of a load balancer; `targets` are members and their ports."""

    balancer: Member
    port: int
    targets: tuple[tuple[Member, int], ...]


class Network:
    """All parts of one template. `hosts` run code, which may try to reach anything."""

    def __init__(self, template: Template) -> None:
        check(template)
        self._template = template
        self.ingress = list(self._rules("Ingress", "SourceSecurityGroupId"))
        self.egress = list(self._rules("Egress", "DestinationSecurityGroupId"))
        # AWS lets a group without any egress rule send everything everywhere.
        silent = self.all(GROUP).keys() - {rule.group for rule in self.egress}
        self.egress += [Rule(group, group, "0.0.0.0/0", EVERY_PORT) for group in sorted(silent)]
        self.ways = list(self._ways())
        self.members = {member.where: member for member in self._members()}
        self.hosts = [self.members[where] for type in (TASKS, INSTANCES) for where in self.all(type)]
        self.listeners = dict(self._listeners())
        # With several VPCs, any host may be in any of them.
        self.answered = sorted({name for vpc in self.all(f"{VPC}::VPC") for name in self._answered(vpc)})

    def all(self, type: str) -> dict[str, dict[str, Any]]:
        """The properties of each resource of the type."""
        return {resource.logical_id: resource.properties for resource in self._template.of_type(type)}

    def id(self, value: Any, type: str) -> str:
        return self._template.follow(value, type).logical_id

    def text(self, value: Any) -> str:
        return ", ".join(map(self._template.text, value if isinstance(value, list) else [value]))

    def _rules(self, direction: str, side: str) -> Iterator[Rule]:
        written = list(self.all(f"{GROUP}{direction}").items())
        for group, properties in self.all(GROUP).items():
            inline = properties.get(f"SecurityGroup{direction}", [])
            written += [(group, {"GroupId": {"Ref": group}, **rule}) for rule in inline]
        for where, rule in written:
            peer = rule["CidrIp"] if "CidrIp" in rule else self.id(rule.get(side), GROUP)
            ports = Ports(rule["IpProtocol"], rule.get("FromPort", 0), rule.get("ToPort", 65535))
            # A rule for every protocol is for every port, whatever it says.
            ports = EVERY_PORT if ports.protocol == "-1" else ports
            yield Rule(where, self.id(rule["GroupId"], GROUP), peer, ports)

    def _ways(self) -> Iterator[Way]:
        for where, route in self.all(f"{VPC}::Route").items():
            to = [self.text(route[name]) for name in ROUTE_TARGETS if name in route]
            yield Way(where, tuple(to), frozenset([self.id(route["RouteTableId"], TABLE)]))
        for where, endpoint in self.all(ENDPOINT).items():
            if endpoint["VpcEndpointType"] == "Gateway":
                tables = [self.id(table, TABLE) for table in endpoint.get("RouteTableIds", [])]
                yield Way(where, self._allowed(endpoint), frozenset(tables))

    def _answered(self, vpc: str) -> list[str]:
        """The names that the VPC's resolver answers for: every name, unless one DNS firewall blocks the rest."""
        associations = self.all(f"{DNS}RuleGroupAssociation").values()
        groups = [
            each["FirewallRuleGroupId"]
            for each in associations
            if self.id(each["VpcId"], f"{VPC}::VPC") == vpc
        ]
        if len(groups) > 1:
            raise TemplateError(f"{vpc}: expected one DNS firewall, found {len(groups)}")
        rules = [
            self._template.follow(group, f"{DNS}RuleGroup").properties["FirewallRules"] for group in groups
        ]
        answered: list[str] = []
        for rule in sorted(rules[0] if rules else [], key=lambda rule: rule["Priority"]):
            domains = self._template.follow(rule["FirewallDomainListId"], f"{DNS}DomainList").properties[
                "Domains"
            ]
            if rule["Action"] == "ALLOW":
                answered += domains
            elif "*" in domains:
                return answered
        return [*answered, "*"]

    def _allowed(self, endpoint: dict[str, Any]) -> tuple[str, ...]:
        """The name of the service, once for each statement of the endpoint's policy."""
        service = self.text(endpoint["ServiceName"])
        names = [
            f"{service}: {self.text(statement['Action'])} on {self.text(statement['Resource'])}{_condition(statement)}"
            for statement in endpoint.get("PolicyDocument", {}).get("Statement", [])
        ]
        return tuple(names) or (service,)

    def _members(self) -> Iterator[Member]:
        for where, balancer in self.all(BALANCER).items():
            yield self._member(where, balancer["SecurityGroups"], balancer["Subnets"])
        for where, link in self.all(f"{API}::VpcLink").items():
            yield self._member(where, link["SecurityGroupIds"], link["SubnetIds"])
        for where, endpoint in self.all(ENDPOINT).items():
            if endpoint["VpcEndpointType"] == "Interface":
                groups, subnets = endpoint.get("SecurityGroupIds", []), endpoint.get("SubnetIds", [])
                yield self._member(where, groups, subnets, *self._allowed(endpoint))
        for where, service in self.all(TASKS).items():
            tasks = service["NetworkConfiguration"]["AwsvpcConfiguration"]
            yield self._member(where, tasks["SecurityGroups"], tasks["Subnets"])
        for where, group in self.all(INSTANCES).items():
            launch = self._template.follow(group["LaunchTemplate"]["LaunchTemplateId"], LAUNCH).properties
            groups = launch["LaunchTemplateData"]["SecurityGroupIds"]
            yield self._member(where, groups, group["VPCZoneIdentifier"])

    def _member(self, where: str, groups: list[Any], subnets: list[Any], *names: str) -> Member:
        # With none it would be in its VPC's default group; several would hide which one lets what pass.
        if len(groups) != 1:
            raise TemplateError(f"{where}: expected one security group, found {len(groups)}")
        group = self._template.follow(groups[0], GROUP)
        names = names or (group.properties["GroupDescription"],)
        places = {self.id(subnet, SUBNET) for subnet in subnets}
        tables = [
            self.id(association["RouteTableId"], TABLE)
            for association in self.all(f"{VPC}::SubnetRouteTableAssociation").values()
            if self.id(association["SubnetId"], SUBNET) in places
        ]
        return Member(where, names, group.logical_id, frozenset(tables))

    def _registrations(self) -> Iterator[tuple[str, Member, int]]:
        """Target group, member and port."""
        for where, group in self.all(TARGETS).items():
            for target in group.get("Targets", []):
                lookup = self._template.follow(target["Id"], "Custom::AWS")
                found = self._template.mentioned(lookup.properties, ENDPOINT)
                if len(found) != 1:
                    raise TemplateError(
                        f"{lookup.logical_id}: does not look up the addresses of one endpoint"
                    )
                yield where, self.members[found[0].logical_id], target["Port"]
        for where, service in self.all(TASKS).items():
            for balancer in service.get("LoadBalancers", []):
                group_id = self.id(balancer["TargetGroupArn"], TARGETS)
                yield group_id, self.members[where], balancer["ContainerPort"]
        for where, instances in self.all(INSTANCES).items():
            for arn in instances.get("TargetGroupARNs", []):
                target_group = self._template.follow(arn, TARGETS)
                yield target_group.logical_id, self.members[where], target_group.properties["Port"]

    def _listeners(self) -> Iterator[tuple[str, Listener]]:
        registered = list(self._registrations())
        for where, listener in self.all(LISTENER).items():
            groups = {self.id(action["TargetGroupArn"], TARGETS) for action in listener["DefaultActions"]}
            targets = tuple((member, port) for group, member, port in registered if group in groups)
            balancer = self.members[self.id(listener["LoadBalancerArn"], BALANCER)]
            yield where, Listener(balancer, listener["Port"], targets)


def _condition(statement: dict[str, Any]) -> str:
    """The one condition that shapes.py admits: whose credentials pass."""
    account = statement.get("Condition", {}).get("StringEquals", {}).get("aws:PrincipalAccount")
    return f" with credentials of {account}" if account else ""
