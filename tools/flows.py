"""Who can reach whom: the flows that synthesized templates allow, by rules, routes, listeners, endpoints and DNS firewalls.

    python -m tools.flows ecs-provider/.local/cdk.out/ecs-provider.template.json

It errs on the open side: any address may be behind any route. A door (a rule, a way out, being in a security group)
that no flow fills is an error: nothing but its counterpart would keep it shut.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import NamedTuple

from tools.network import BALANCER, EVERY_PORT, LISTENER, SERVICE, Member, Network, Ports, Rule, Way, tcp
from tools.shapes import API
from tools.template import Template, TemplateError

ENFORCED = "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"
NOWHERE = "255.255.255.255/32"  # what CDK writes for no egress at all


class Flow(NamedTuple):
    """`source` is a range, a principal, or a member of the VPC, a load balancer with the port that it was reached on."""

    source: str
    to: str
    port: str


def flows(template: Template) -> list[Flow]:
    """Every flow that the template allows; TemplateError for what is not known here or wider than its flows."""
    reach = _Reach(Network(template))
    found = {
        *reach.inside(),
        *reach.in_from_ranges(),
        *reach.in_by_private_link(),
        *reach.out(),
        *reach.queries(),
    }
    if template.of_type(f"{API}::Api"):
        found.add(Flow("internet", "HTTP API", "443"))
    reach.refuse_spare_doors()
    return sorted(found)


class _Try(NamedTuple):
    """What `source`, which is `sender` or a port of it, sends to `receiver` if rules let it pass."""

    source: str
    sender: Member
    receiver: Member
    ports: Ports


_Door = Rule | Way | Member | _Try


class _Reach:
    """Finds the flows of a network, and remembers the doors that they fill."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.told = list(self._told())
        self.filled: set[_Door] = set()

    def _told(self) -> Iterator[_Try]:
        """What load balancers and VPC links are told to send."""
        network = self.network
        for listener in network.listeners.values():
            source = f"{listener.balancer.names[0]} :{listener.port}"
            yield from (_Try(source, listener.balancer, to, tcp(port)) for to, port in listener.targets)
        for integration in network.all(f"{API}::Integration").values():
            link = network.members[network.id(integration["ConnectionId"], f"{API}::VpcLink")]
            listener = network.listeners[network.id(integration["IntegrationUri"], LISTENER)]
            yield _Try(link.names[0], link, listener.balancer, tcp(listener.port))

    def _tried(self) -> Iterator[_Try]:
        """What hosts may try: everything that somebody hears."""
        listeners = self.network.listeners.values()
        for host, receiver in product(self.network.hosts, self.network.members.values()):
            heard = [tcp(listener.port) for listener in listeners if listener.balancer == receiver]
            yield from (_Try(host.names[0], host, receiver, ports) for ports in heard or [EVERY_PORT])

    def inside(self) -> Iterator[Flow]:
        """What passes a rule of its sender and a rule of its receiver."""
        rules = list(product(self.network.egress, self.network.ingress))
        for attempt, (sent, taken) in product([*self.told, *self._tried()], rules):
            source, sender, receiver, tried = attempt
            ports = sent.ports.meet(taken.ports).meet(tried)
            if ports and sent.lets(sender, receiver) and taken.lets(receiver, sender):
                exact = {rule for rule in (sent, taken) if rule.ports == ports and not rule.is_range}
                self.filled |= {attempt, sender, receiver, *exact}
                yield from (Flow(source, name, str(ports)) for name in receiver.names)

    def in_from_ranges(self) -> Iterator[Flow]:
        for rule, member in product(self.network.ingress, self.network.members.values()):
            if rule.is_range and rule.group == member.group:
                self.filled |= {rule, member}
                yield from (Flow(rule.peer, name, str(rule.ports)) for name in member.names)

    def in_by_private_link(self) -> Iterator[Flow]:
        """With enforcement off, PrivateLink gets past the load balancer's rules; with it on, they hold for it too."""
        network = self.network
        off = {where for where, balancer in network.all(BALANCER).items() if balancer.get(ENFORCED) == "off"}
        for permissions in network.all(f"{SERVICE}Permissions").values():
            service = network.all(SERVICE)[network.id(permissions["ServiceId"], SERVICE)]
            published = {network.id(arn, BALANCER) for arn in service["NetworkLoadBalancerArns"]}
            for principal, listener in product(permissions["AllowedPrincipals"], network.listeners.values()):
                if listener.balancer.where in published & off:
                    yield Flow(network.text(principal), listener.balancer.names[0], str(listener.port))

    def out(self) -> Iterator[Flow]:
        """What leaves the VPC for a range of addresses, by a route or a gateway endpoint."""
        for rule, way in product(self.network.egress, self.network.ways):
            for member in self.network.members.values():
                leaves = rule.is_range and rule.peer != NOWHERE and rule.group == member.group
                if leaves and member.tables & way.tables:
                    self.filled |= {rule, way, member}
                    yield from (Flow(member.names[0], name, str(rule.ports)) for name in way.names)

    def queries(self) -> Iterator[Flow]:
        """What hosts ask the VPC's resolver: no route and no security group stops a query."""
        for host, name in product(self.network.hosts, self.network.answered):
            yield Flow(host.names[0], f"Route 53 Resolver: {name}", "53")

    def refuse_spare_doors(self) -> None:
        network = self.network
        rules = [rule for rule in (*network.ingress, *network.egress) if rule.peer != NOWHERE]
        doors: dict[_Door, str] = {rule: f"{rule.where} ({rule.ports} for {rule.peer})" for rule in rules}
        others: list[Way | Member] = [*network.ways, *network.members.values()]
        doors |= {each: each.where for each in others}
        doors |= {each: f"{each.source} to {each.receiver.where} on {each.ports}" for each in self.told}
        if spare := [text for door, text in doors.items() if door not in self.filled]:
            raise TemplateError(f"no flow needs all that these allow: {', '.join(spare)}")


def table(templates: Mapping[str, Template]) -> str:
    """The flows of each template; the port stands before the longest column."""
    lines = []
    for name, template in templates.items():
        found = flows(template)
        first, second = (
            max(map(len, column)) for column in ([f.source for f in found], [f.port for f in found])
        )
        rows = [Flow("from", "to", "port"), *found]
        lines += ["", name, *(f"  {row.source:{first}}  {row.port:{second}}  {row.to}" for row in rows)]
    return "\n".join(lines[1:])


if __name__ == "__main__":
    paths = map(Path, sys.argv[1:])
    print(table({path.name.partition(".")[0]: Template.load(path) for path in paths}))
