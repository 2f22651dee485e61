"""Judges by the answers of AWS what every folder has: a load balancer, its targets, and what runs. doctor.toml has the sentences."""

import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import jmespath

from common.account import Account, Answer, Stack

SAYS: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_name("doctor.toml").read_text())
GROUP, LISTENER = "AWS::ElasticLoadBalancingV2::TargetGroup", "AWS::ElasticLoadBalancingV2::Listener"
LOOK = {
    "instance": "look at the console output of the instances (ec2-provider/README.md, Look inside an instance)",
    "ip": "look at the stopped reason of the tasks, and at their log group",
}


@dataclass(frozen=True)
class Hop:
    """A place on the way, its state, and if it is broken the sentence, or whether that follows from another fault.

    A fault that only `warns` breaks no request yet.
    """

    name: str
    state: str
    fault: str = ""
    follows: bool = False
    warns: bool = False

    @property
    def mark(self) -> str:
        rest = "unseen" if self.state.startswith("not seen") else "ok"
        return "broken" if self.fault else "follows" if self.follows else rest

    def unless(self, *causes: "Hop") -> "Hop":
        """Without its fault, if that follows from one of the causes. A warning causes no outage."""
        is_symptom = self.fault and any(each.fault and self.warns >= each.warns for each in causes)
        return Hop(self.name, self.state, follows=True) if is_symptom else self


def tell(is_broken: object, name: str, owner: str, /, **values: Any) -> str:
    sentence = SAYS.get(name) or SAYS[name.split()[0]]
    return f"{sentence['what']}; {{owner}}: {sentence['do']}".format(owner=owner, **values) if is_broken else ""


def kept_hops(stack: Stack, name: str, ids: Collection[str]) -> Iterator[Hop]:
    """What somebody has changed by hand: the checks of doctor.toml whose answer differs from the deployed template."""
    for title, check in SAYS.items():
        for id, properties in stack.of_type(check.get("type", "")).items():
            # Of what is gone, another hop tells.
            if id not in ids or not (answer := stack.account.first(check["call"], **{check["by"]: [id]})):
                continue
            found, expected = jmespath.search(check["found"], answer), jmespath.search(check["expected"], properties)
            is_enough = isinstance(expected, int | float) and isinstance(found, int | float) and found >= expected
            if None not in (found, expected) and found != expected and not is_enough:
                shown = ", ".join(found) if isinstance(found, list) else found
                fault = tell(True, title, stack.owner, id=id, name=name, found=shown, expected=expected)
                yield Hop(title, f"{shown}", fault, warns=bool(check.get("warns")))


def lets_through(rule: Answer, peers: list[str], addresses: list[str], port: int) -> bool:
    if rule["IpProtocol"] != "-1" and not (rule["IpProtocol"] == "tcp" and rule["FromPort"] <= port <= rule["ToPort"]):
        return False
    ranges = [IPv4Network(each["CidrIp"]) for each in rule["IpRanges"]]
    is_paired = not {pair["GroupId"] for pair in rule["UserIdGroupPairs"]}.isdisjoint(peers)
    return is_paired or all(any(IPv4Network(each).subnet_of(net) for net in ranges) for each in addresses)


def rule_hop(account: Account, owner: str, *flows: tuple[list[str], list[str], int, str]) -> Hop:
    """Of each flow: groups from, groups to, port, ports of the rule. Prefix lists and IPv6 are not looked at."""
    groups = {each["GroupId"]: each for each in account.all("ec2.describe_security_groups")}
    placed = account.all("ec2.describe_network_interfaces")
    for source, target, port, ports in flows:
        for names, kind, peers in ((source, "Egress", target), (target, "", source)):
            own = [each for each in placed if not {group["GroupId"] for group in each["Groups"]}.isdisjoint(peers)]
            at = [each["PrivateIpAddress"] for each in own] or ["0.0.0.0/0"]
            rules = [rule for name in names for rule in groups.get(name, {}).get(f"IpPermissions{kind}", ())]
            if names and peers and not any(lets_through(rule, peers, at, port) for rule in rules):
                way = f"egress rule of {names[0]} to" if kind else f"ingress rule of {names[0]} from"
                missing = f"{way} {peers[0]} for TCP {ports}"
                return Hop("security rules", f"no {missing}", tell(True, "rule", owner, missing=missing))
    return Hop("security rules", "let requests through")


def listener_hop(account: Account, owner: str, listener: Answer, name: str, port: int, group: str, title: str) -> Hop:
    if not listener:
        fault = tell(True, f"listener {title} {port}", owner, name=name, port=port, group=group)
        return Hop(title, f"no listener on port {port}", fault)
    balancer = account.first("elbv2.describe_load_balancers", LoadBalancerArns=[listener["LoadBalancerArn"]])
    state = balancer.get("State", {}).get("Code", "gone")
    # docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerState.html
    fault = tell(state not in ("active", "active_impaired"), f"balancer {state}", owner, name=name, state=state)
    return Hop(title, f"port {listener['Port']}, {state}", fault)


def acl_hops(stack: Stack, name: str) -> Iterator[Hop]:
    """The network ACLs of the stack's subnets, which the template leaves as they are by default: everything passes."""
    subnets = stack.of_type("AWS::EC2::Subnet")
    for acl in stack.account.all("ec2.describe_network_acls"):
        if subnets.keys() & {each["SubnetId"] for each in acl["Associations"]}:
            last = 32767  # the rule with the asterisk, which denies the rest
            denied = [
                each["RuleNumber"]
                for each in acl["Entries"]
                if each["RuleAction"] == "deny" and each["RuleNumber"] < last
            ]
            opened = {
                each["Egress"] for each in acl["Entries"] if (each["RuleAction"], each["Protocol"]) == ("allow", "-1")
            }
            rules = ", ".join(map(str, denied)) or "none allows all"
            if denied or len(opened) < 2:
                fault = tell(True, "acl", stack.owner, id=acl["NetworkAclId"], name=name, rules=rules)
                yield Hop("network ACL", acl["NetworkAclId"], fault)


def interfaces(account: Account, vpc: str) -> dict[str, Answer]:
    """The network interfaces in the VPC, by address and by instance."""
    found = [each for each in account.all("ec2.describe_network_interfaces") if each["VpcId"] == vpc]
    instances = {each.get("Attachment", {}).get("InstanceId", ""): each for each in found}
    return instances | {each["PrivateIpAddress"]: each for each in found}


def group_hop(stack: Stack, title: str, arn: str, name: str, do: str = "") -> Hop:
    """The health of a target group. Its states: docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html"""
    group = stack.account.first("elbv2.describe_target_groups", TargetGroupArns=[arn])
    if not group:
        return Hop(title, "no target group", tell(True, "group", stack.owner, name=name))
    found = stack.account.all("elbv2.describe_target_health", TargetGroupArn=arn)
    targets = [each for each in found if each["TargetHealth"]["State"] != "draining"]
    bad = [each for each in targets if each["TargetHealth"]["State"] != "healthy"]
    reasons = sorted({each["TargetHealth"].get("Reason", each["TargetHealth"]["State"]) for each in bad})
    known = interfaces(stack.account, group["VpcId"]) if bad else {}
    ids = [each["Target"]["Id"] for each in bad]
    # Accounts give different names to a zone, and its id is the same for all.
    zones = {id: each.get("AvailabilityZoneId", each["AvailabilityZone"]) for id, each in known.items()}
    names = ", ".join(f"{id} in {zones[id]}" if id in zones else id for id in ids)
    why = f"{', '.join(reasons)}: {names}" if bad else f"{len(targets)} registered"
    healthy, total = len(targets) - len(bad), max(len(targets), 2)
    values = {"name": name, "why": why, "healthy": healthy, "total": total, "do": do or LOOK[group["TargetType"]]}
    # As the alarms see it: with two healthy targets, a scale-out or a refresh is no fault.
    fault = tell(healthy < 2, "weak" if healthy else "unhealthy", stack.owner, **values)
    return Hop(title, f"{healthy} of {total} healthy" + f" ({why})" * (healthy < total), fault, warns=healthy > 0)
