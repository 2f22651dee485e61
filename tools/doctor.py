"""Why a route does not answer: `python -m tools.doctor ["GET /dogs"]` walks its hops in all three accounts, read-only.

A hop whose fault follows from another fault has none of its own.
"""

import os
import sys
from collections.abc import Iterator, Mapping

import boto3
from botocore.exceptions import BotoCoreError

from tools.account import Account, Answer, Stack, UnseenError, stacks
from tools.hops import (
    BALANCING,
    Fetch,
    Hop,
    authorizer_hop,
    fetch,
    group_hop,
    link_hop,
    listener_hop,
    route_hop,
    rule_hop,
    runtime_hops,
    tell,
)


def provider_hops(stack: Stack, service_name: str, name: str, port: int, gateway: str) -> Iterator[Hop]:
    """From the endpoint service to what runs, in the provider's account."""
    account, owner, service_id = stack.account, stack.owner, service_name.rpartition(".")[2]
    values = {"id": service_id, "name": name, "gateway": gateway}
    configured = account.all("ec2.describe_vpc_endpoint_service_configurations")
    balancers = [each["NetworkLoadBalancerArns"][0] for each in configured if each["ServiceId"] == service_id]
    if not balancers:
        yield Hop("endpoint service", "gone", tell(True, "gone", owner, **values))
        return
    found = account.all("ec2.describe_vpc_endpoint_service_permissions", ServiceId=service_id)
    admitted = [each["Principal"] for each in found]
    is_admitted = any(each == "*" or f"::{gateway}:" in each for each in admitted)
    state = f"{service_id} admits {', '.join(admitted) or 'nobody'}"
    yield Hop("endpoint service", state, tell(not is_admitted, "principal", owner, **values))
    listeners = account.all("elbv2.describe_listeners", LoadBalancerArn=balancers[0])
    listener: Answer = next((each for each in listeners if each["Port"] == port), {})
    groups = [*stack.of_type(f"{BALANCING}TargetGroup")]
    group = listener["DefaultActions"][0]["TargetGroupArn"] if listener else groups[0]
    yield (entry := listener_hop(account, owner, listener, name, port, group, "provider NLB"))
    behind = [*runtime_hops(stack)]
    yield group_hop(stack, "provider targets", group, f"{name} in {account.id}").unless(entry, *behind)
    yield from behind


def provider_of(accounts: list[Account], service_id: str) -> Stack:
    """The stack of the endpoint service, in one of the accounts that can be read."""
    problem = "no profile for its account"
    for account in accounts:
        try:
            for stack in stacks(account):
                if service_id in stack.ids.values():
                    return stack
        except UnseenError as error:
            problem = str(error)
    raise UnseenError(problem)


def unseen_hop(gateway: Account, service_name: str, name: str, problem: str) -> Hop:
    """What the gateway's account alone can tell of the provider, and whom to ask."""
    found = gateway.one("ec2.describe_vpc_endpoint_services", ServiceNames=[service_name]).get("ServiceDetails", [])
    for each in found:
        ask = f"ask the team of {name} in {each['Owner']} to run make doctor with a profile for it"
        return Hop("provider", f"not seen ({problem}); {ask}")
    values = {"id": service_name.rpartition(".")[2], "name": name, "gateway": gateway.id}
    return Hop("endpoint service", "not visible", tell(True, "invisible", f"the team of {name}", **values))


def service_hops(gateway: Stack, accounts: list[Account], uri: str, link: Answer) -> Iterator[Hop]:
    """From the listener, which is known to be of the stack, to what runs."""
    account, owner, template = gateway.account, gateway.owner, gateway.template
    properties = gateway.of_type(f"{BALANCING}Listener")[uri].properties
    group = template.follow(properties["DefaultActions"][0]["TargetGroupArn"], f"{BALANCING}TargetGroup")
    lookup = template.follow(group.properties["Targets"][0]["Id"], "Custom::AWS").properties["Create"]
    [(id, known)] = [
        (id, each)
        for id, each in gateway.of_type("AWS::EC2::VPCEndpoint").items()
        if each.logical_id in template.references(lookup)
    ]
    [name] = [tag["Value"] for tag in known.properties["Tags"] if tag["Key"] == "Name"]
    service_name, port = known.properties["ServiceName"], group.properties["Port"]
    listener = account.first("elbv2.describe_listeners", ListenerArns=[uri])
    arn = gateway.ids[group.logical_id]
    yield (entry := listener_hop(account, owner, listener, name, properties["Port"], arn, "listener"))
    balancer = account.first("elbv2.describe_load_balancers", LoadBalancerArns=[listener.get("LoadBalancerArn", "")])

    provider_owner = f"the team of {name}"
    try:
        provider = provider_of(accounts, service_name.rpartition(".")[2])
        provider_owner = provider.owner
        behind = [*provider_hops(provider, service_name, name, port, account.id)]
    except UnseenError as error:
        behind = [unseen_hop(account, service_name, name, str(error))]
    end = account.first("ec2.describe_vpc_endpoints", VpcEndpointIds=[id])
    state = end.get("State", "deleted")
    values = {"id": id, "name": name, "state": state, "service": service_name.rpartition(".")[2]}
    # It is the provider that accepts.
    who = provider_owner if state.lower() in ("pendingacceptance", "rejected") else owner
    fault = tell(state.lower() != "available", f"endpoint {state.lower()}", who, **values)
    endpoint = Hop("endpoint", f"{id} {state}", fault).unless(behind[0])
    groups = [each["GroupId"] for each in end.get("Groups", ())]
    flows = (
        []
        if not listener
        else [
            (link.get("SecurityGroupIds", []), balancer["SecurityGroups"], properties["Port"], "0-65535"),
            (balancer["SecurityGroups"], groups, port, str(port)),
        ]
    )
    rules = rule_hop(account, owner, *flows)
    placed = account.all("ec2.describe_network_interfaces")
    ends = {
        each["PrivateIpAddress"] for each in placed if each["NetworkInterfaceId"] in end.get("NetworkInterfaceIds", ())
    }
    registered = {each["Target"]["Id"] for each in account.all("elbv2.describe_target_health", TargetGroupArn=arn)}
    if ends and registered != ends:
        found, expected = (", ".join(sorted(each)) for each in (registered, ends))
        targets = Hop("targets", found, tell(True, "stale", owner, name=name, found=found, expected=expected))
    else:
        do = next(
            (each.state for each in behind if each.mark == "unseen"),
            "run make drift: everything behind them is in order",
        )
        targets = group_hop(gateway, "targets", arn, name, do)
    yield from (rules, targets.unless(entry, rules, endpoint, *behind), endpoint, *behind)


def walk(gateway: Stack, accounts: list[Account], route: Answer, fetch: Fetch) -> Iterator[Hop]:
    account, owner, api = gateway.account, gateway.owner, {"ApiId": route["ApiId"]}
    yield route_hop(route, account.one("apigatewayv2.get_stage", **api, StageName="$default"), owner)
    authorizer = route.get("AuthorizerId") and account.one(
        "apigatewayv2.get_authorizer", **api, AuthorizerId=route["AuthorizerId"]
    )
    yield authorizer_hop(route, authorizer or {}, owner, fetch)
    target = route.get("Target", "").removeprefix("integrations/")
    integration = account.one("apigatewayv2.get_integration", **api, IntegrationId=target)
    uri = integration.get("IntegrationUri", "no integration")
    is_ours = uri in gateway.of_type(f"{BALANCING}Listener")
    fault = tell(not is_ours, "integration", owner, key=route["RouteKey"], uri=uri)
    yield Hop("integration", f"{integration.get('TimeoutInMillis', 0) / 1000:g} s for an answer", fault)
    link = account.one("apigatewayv2.get_vpc_link", VpcLinkId=integration.get("ConnectionId", "none"))
    yield link_hop(link, owner)
    if is_ours:
        yield from service_hops(gateway, accounts, uri, link)


def examine(accounts: list[Account], wanted: str = "", fetch: Fetch = fetch) -> dict[str, list[Hop]]:
    """The hops of each route, or of the wanted one. A ValueError says what to do."""
    gateways = [stack for account in accounts for stack in stacks(account) if stack.name == "global-apigw"]
    if not gateways:
        seen = ", ".join(each.id for each in accounts) or "no account"
        raise ValueError(
            f"expected the stack global-apigw in {seen}; export the credentials of its account, or GATEWAY_PROFILE"
        )
    [api] = gateways[0].of_type("AWS::ApiGatewayV2::Api")
    found = gateways[0].account.all("apigatewayv2.get_routes", ApiId=api)
    routes = {each["RouteKey"]: {**each, "ApiId": api} for each in found}
    if wanted and wanted not in routes:
        raise ValueError(f"ROUTE is {wanted}, expected one of: {', '.join(sorted(routes))}")
    keys = [wanted] if wanted else sorted(routes)
    return {key: [*walk(gateways[0], accounts, routes[key], fetch)] for key in keys}


def open_accounts(environ: Mapping[str, str]) -> Iterator[Account]:
    """The gateway's account, by its profile or exported credentials, and the others that have a profile."""
    for team in ("GATEWAY", "ECS", "EC2"):
        profile = environ.get(f"{team}_PROFILE") or None
        if profile or team == "GATEWAY":
            try:
                yield Account(boto3.Session(profile_name=profile), environ["AWS_REGION"])
            except (UnseenError, BotoCoreError) as error:
                print(f"unseen  {team}_PROFILE={profile or ''}: {error}")


def main(wanted: str, environ: Mapping[str, str]) -> int:
    if not environ.get("AWS_REGION"):
        raise ValueError("AWS_REGION is missing, expected the region of the stacks, such as us-west-2")
    found = examine([*open_accounts(environ)], wanted)
    hops = [hop for each in found.values() for hop in each]
    if wanted:
        rows = [(hop.mark, f"{hop.name:<17} {hop.state}") for hop in hops]
    else:
        rows = [("broken" if any(hop.fault for hop in each) else "ok", key) for key, each in found.items()]
    faults = [*dict.fromkeys(hop.fault for hop in hops if hop.fault)]
    unseen = [*dict.fromkeys(hop.state for hop in hops if hop.mark == "unseen")]
    print(*(f"{mark:<7} {text}" for mark, text in rows), sep="\n")
    print(*(faults[:1] if wanted else faults) or ["; ".join(["nothing is broken", *unseen])], sep="\n")
    return int(bool(faults))


if __name__ == "__main__":
    try:
        sys.exit(main(" ".join(sys.argv[1:]), os.environ))
    except (ValueError, UnseenError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)
