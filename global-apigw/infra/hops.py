"""Judges by the answers of AWS what only the gateway has: route, authorizer, VPC link, endpoint. doctor.toml has the sentences."""

import tomllib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

from common.account import Account, Answer
from common.hops import SAYS, Hop, tell

SAYS.update(tomllib.loads(Path(__file__).with_name("doctor.toml").read_text()))
Fetch = Callable[[str], Any]


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
    except (OSError, HTTPException, ValueError, AttributeError) as error:
        problem = f"cannot be read from here ({error})"
    return Hop("authorizer", issuer, tell(problem, "issuer", owner, issuer=issuer, problem=problem))


def link_hop(link: Answer, id: str, owner: str) -> Hop:
    status, message = link.get("VpcLinkStatus", "gone"), link.get("VpcLinkStatusMessage", "it has none")
    values = {"id": id, "status": status, "message": message}
    return Hop("VPC link", status, tell(status != "AVAILABLE", f"link {status}", owner, **values))


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
