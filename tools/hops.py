"""Judges the hops of a route by the answers of AWS; doctor.toml has the sentences."""

import json
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tools.account import Account, Answer, Stack

SAYS: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_name("doctor.toml").read_text())
GROUP = "AWS::ElasticLoadBalancingV2::TargetGroup"
LOOK = {
    "instance": "look at the console output of the instances (ec2-provider/README.md, Look inside an instance)",
    "ip": "look at the stopped reason of the tasks, and at their log group",
}
Fetch = Callable[[str], Any]


@dataclass(frozen=True)
class Hop:
    """A place on the way, its state, and if it is broken the sentence, or whether that follows from another fault."""

    name: str
    state: str
    fault: str = ""
    follows: bool = False

    @property
    def mark(self) -> str:
        return (
            "broken"
            if self.fault
            else "follows"
            if self.follows
            else "unseen"
            if self.state.startswith("not seen")
            else "ok"
        )

    def unless(self, *causes: "Hop") -> "Hop":
        """Without its fault, if that follows from one of the causes."""
        is_symptom = self.fault and any(each.fault for each in causes)
        return Hop(self.name, self.state, follows=True) if is_symptom else self


def fetch(url: str) -> Any:
    with urlopen(url, timeout=5) as answer:  # noqa: S310 - API Gateway takes an issuer with https only
        return json.loads(answer.read(1_000_000))


def tell(is_broken: object, name: str, owner: str, /, **values: Any) -> str:
    sentence = SAYS.get(name, SAYS[name.split()[0]])
    return f"{sentence['what']}; {{owner}}: {sentence['do']}".format(owner=owner, **values) if is_broken else ""


def route_hop(route: Answer, stage: Answer, owner: str) -> Hop:
    key = route["RouteKey"]
    limits = {**stage.get("DefaultRouteSettings", {}), **stage.get("RouteSettings", {}).get(key, {})}
    rate, burst = limits.get("ThrottlingRateLimit"), limits.get("ThrottlingBurstLimit")
    fault = tell(0 in (rate, burst), "throttled", owner, key=key, rate=rate, burst=burst)
    return Hop("route", f"{key}, {rate} requests/s, {burst} at once", fault or tell(not stage, "stage", owner))


def authorizer_hop(route: Answer, authorizer: Answer, owner: str, fetch: Fetch) -> Hop:
    if route["AuthorizationType"] == "NONE":
        return Hop("authorizer", "none, the route is open")
    issuer, problem = authorizer.get("JwtConfiguration", {}).get("Issuer", "none"), ""
    try:
        if (named := fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration").get("issuer")) != issuer:
            problem = f"calls itself {named}"
    except (OSError, ValueError, AttributeError) as error:
        problem = f"cannot be read from here ({error})"
    return Hop("authorizer", issuer, tell(problem, "issuer", owner, issuer=issuer, problem=problem))


def link_hop(link: Answer, owner: str) -> Hop:
    status, message = link.get("VpcLinkStatus", "gone"), link.get("VpcLinkStatusMessage", "it has none")
    values = {"id": link.get("VpcLinkId", ""), "status": status, "message": message}
    return Hop("VPC link", status, tell(status != "AVAILABLE", f"link {status}", owner, **values))


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
        fault = tell(True, "listener", owner, name=name, port=port, group=group)
        return Hop(title, f"no listener on port {port}", fault)
    balancer = account.first("elbv2.describe_load_balancers", LoadBalancerArns=[listener["LoadBalancerArn"]])
    state = balancer["State"]["Code"]
    fault = tell(state not in ("active", "active_impaired"), "balancer", owner, name=name, state=state)
    return Hop(title, f"port {listener['Port']}, {state}", fault)


def group_hop(stack: Stack, title: str, arn: str, name: str, do: str = "") -> Hop:
    """A target group, compared with the template that was deployed."""
    group = stack.account.first("elbv2.describe_target_groups", TargetGroupArns=[arn])
    found = stack.account.all("elbv2.describe_target_health", TargetGroupArn=arn)
    targets = [each for each in found if each["TargetHealth"]["State"] != "draining"]
    bad = [each for each in targets if each["TargetHealth"]["State"] != "healthy"]
    reasons = sorted({each["TargetHealth"].get("Reason", each["TargetHealth"]["State"]) for each in bad})
    names = ", ".join(each["Target"]["Id"] for each in bad)
    why = f"{', '.join(reasons)}: {names}" if bad else f"{len(targets)} registered"
    healthy, total = len(targets) - len(bad), max(len(targets), 2)
    values = {"name": name, "why": why, "healthy": healthy, "total": total, "do": do or LOOK[group["TargetType"]]}
    actual, known = group["HealthCheckPath"], stack.of_type(GROUP).get(arn)
    path = known.properties["HealthCheckPath"] if known else actual
    fault = tell(actual != path, "path", stack.owner, name=name, found=actual, path=path)
    fault = fault or tell(healthy < total, "weak" if healthy else "unhealthy", stack.owner, **values)
    return Hop(title, f"{healthy} of {total} healthy" + f" ({why})" * (healthy < total), fault)


def runtime_hops(stack: Stack) -> Iterator[Hop]:
    """Tasks and their image, instances, the table."""
    account = stack.account
    for arn in stack.of_type("AWS::ECS::Service"):
        service = account.first("ecs.describe_services", cluster=arn.split("/")[1], services=[arn])
        if service.get("status") != "ACTIVE":
            yield Hop("tasks", "no service", tell(True, "tasks", stack.owner, name=arn))
            continue
        task = account.one("ecs.describe_task_definition", taskDefinition=service["taskDefinition"])["taskDefinition"]
        image = task["containerDefinitions"][0]["image"].partition("/")[2]
        repository, _, tag = image.partition(":")
        is_there = account.all("ecr.describe_images", repositoryName=repository, imageIds=[{"imageTag": tag}])
        state = f"{service['runningCount']} of {service['desiredCount']} run {image}"
        events = [each["message"] for each in service["events"][:1]]
        yield Hop("tasks", "; ".join([state, *events]), tell(not is_there, "image", stack.owner, image=image))
    for name in stack.of_type("AWS::AutoScaling::AutoScalingGroup"):
        group = account.first("autoscaling.describe_auto_scaling_groups", AutoScalingGroupNames=[name])
        states = [f"{each['InstanceId']} {each['LifecycleState']}" for each in group.get("Instances", ())]
        yield Hop("instances", ", ".join(states) or "none")
    if name := stack.outputs.get("tablename", ""):
        status = account.one("dynamodb.describe_table", TableName=name).get("Table", {}).get("TableStatus", "missing")
        is_broken = status not in ("ACTIVE", "UPDATING")
        yield Hop("table", f"{name} {status}", tell(is_broken, "table", stack.owner, table=name, status=status))


def endpoint_hop(end: Answer, id: str, name: str, service_name: str, owner: str, provider: str) -> Hop:
    state = end.get("State", "deleted")
    # It is the provider that accepts.
    who = provider if state.lower() in ("pendingacceptance", "rejected") else owner
    values = {"id": id, "name": name, "state": state, "service": service_name.rpartition(".")[2]}
    fault = tell(state.lower() != "available", f"endpoint {state.lower()}", who, **values)
    return Hop("endpoint", f"{id} {state}", fault)


def stale_hop(account: Account, owner: str, group: str, name: str, end: Answer) -> Hop | None:
    """Unless the targets are the addresses of the endpoint, or it has none."""
    own = end.get("NetworkInterfaceIds", ())
    placed = account.all("ec2.describe_network_interfaces")
    addresses = sorted(each["PrivateIpAddress"] for each in placed if each["NetworkInterfaceId"] in own)
    targets = account.all("elbv2.describe_target_health", TargetGroupArn=group)
    # Those that an update has taken out are still listed as draining.
    found = sorted(each["Target"]["Id"] for each in targets if each["TargetHealth"]["State"] != "draining")
    if not addresses or found == addresses:
        return None
    values = {"name": name, "found": ", ".join(found), "expected": ", ".join(addresses)}
    return Hop("targets", values["found"], tell(True, "stale", owner, **values))
