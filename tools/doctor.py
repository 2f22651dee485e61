"""Why a route does not answer: `python -m tools.doctor ["GET /dogs"]` walks its hops in all three accounts, read-only.

A hop whose fault follows from another fault has none of its own.
"""

import os
import sys
from collections.abc import Iterator, Mapping

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tools import hops
from tools.account import Account, Answer, Stack, UnseenError, stacks
from tools.hops import GROUP, Hop, tell

LISTENER = "AWS::ElasticLoadBalancingV2::Listener"


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
    yield hops.listener_hop(account, owner, listener, name, port, ", ".join(stack.of_type(GROUP)), "provider NLB")
    behind = [*hops.runtime_hops(stack)]
    for action in listener.get("DefaultActions", ()):
        arn = action["TargetGroupArn"]
        yield hops.group_hop(stack, "provider targets", arn, f"{name} in {account.id}").unless(*behind)
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
    port = gateway.of_type(LISTENER)[uri].properties["Port"]
    group = template.follow(gateway.of_type(LISTENER)[uri].properties["DefaultActions"][0]["TargetGroupArn"], GROUP)
    lookup = template.follow(group.properties["Targets"][0]["Id"], "Custom::AWS").properties["Create"]
    ends = {each.logical_id: each.properties for each in template.of_type("AWS::EC2::VPCEndpoint")}
    [end] = ends.keys() & template.references(lookup)
    [name] = [tag["Value"] for tag in ends[end]["Tags"] if tag["Key"] == "Name"]
    listener = account.first("elbv2.describe_listeners", ListenerArns=[uri])
    arn, id = gateway.ids[group.logical_id], gateway.ids[end]
    yield (entry := hops.listener_hop(account, owner, listener, name, port, arn, "listener"))

    service_name, target_port, who = ends[end]["ServiceName"], group.properties["Port"], f"the team of {name}"
    try:
        provider = provider_of(accounts, service_name.rpartition(".")[2])
        who = provider.owner
        behind = [*provider_hops(provider, service_name, name, target_port, account.id)]
    except UnseenError as error:
        behind = [unseen_hop(account, service_name, name, str(error))]
    found = account.first("ec2.describe_vpc_endpoints", VpcEndpointIds=[id])
    endpoint = hops.endpoint_hop(found, id, name, service_name, owner, who).unless(behind[0])
    balancers = account.all("elbv2.describe_load_balancers")
    arns = [listener.get("LoadBalancerArn")]
    own = [group for each in balancers if each["LoadBalancerArn"] in arns for group in each.get("SecurityGroups", ())]
    groups = [each["GroupId"] for each in found.get("Groups", ())]
    flows = (link.get("SecurityGroupIds", []), own, port, "0-65535"), (own, groups, target_port, str(target_port))
    yield (rules := hops.rule_hop(account, owner, *flows))
    unseen = [each.state for each in behind if each.mark == "unseen"]
    todo = "".join(unseen) or "run make drift: everything behind is in order"
    targets = hops.group_hop(gateway, "targets", arn, name, todo).unless(entry, rules, endpoint, *behind)
    yield hops.stale_hop(account, owner, arn, name, found) or targets
    yield from (endpoint, *behind)


def walk(gateway: Stack, accounts: list[Account], route: Answer, fetch: hops.Fetch) -> Iterator[Hop]:
    account, owner, api = gateway.account, gateway.owner, {"ApiId": route["ApiId"]}
    yield hops.route_hop(route, account.one("apigatewayv2.get_stage", **api, StageName="$default"), owner)
    id = route.get("AuthorizerId", "")
    authorizer = account.one("apigatewayv2.get_authorizer", **api, AuthorizerId=id) if id else {}
    yield hops.authorizer_hop(route, authorizer, owner, fetch)
    found = account.all("apigatewayv2.get_integrations", **api)
    known = {f"integrations/{each['IntegrationId']}": each for each in found}
    integration = known.get(route.get("Target", ""), {})
    uri = integration.get("IntegrationUri", "no integration")
    is_ours = uri in gateway.of_type(LISTENER)
    fault = tell(not is_ours, "integration", owner, key=route["RouteKey"], uri=uri)
    yield Hop("integration", f"{integration.get('TimeoutInMillis', 0) / 1000:g} s for an answer", fault)
    if is_ours:
        link = account.one("apigatewayv2.get_vpc_link", VpcLinkId=integration["ConnectionId"])
        yield hops.link_hop(link, owner)
        yield from service_hops(gateway, accounts, uri, link)


def examine(accounts: list[Account], wanted: str = "", fetch: hops.Fetch = hops.fetch) -> dict[str, list[Hop]]:
    """The hops of each route, or of the wanted one. A ValueError says what to do."""
    found = (stack for account in accounts for stack in stacks(account) if stack.name == "global-apigw")
    if not (gateway := next(found, None)):  # not asked of the accounts after the gateway's, which may deny it
        seen = f"expected the stack global-apigw in {', '.join(each.id for each in accounts) or 'an account'}"
        raise ValueError(f"{seen}; export the credentials of the gateway's account, or its GATEWAY_PROFILE")
    [api] = gateway.of_type("AWS::ApiGatewayV2::Api")
    listed = gateway.account.all("apigatewayv2.get_routes", ApiId=api)
    routes = {each["RouteKey"]: {**each, "ApiId": api} for each in listed}
    keys = [key for key in sorted(routes) if wanted in ("", key)]
    if not keys:
        there = ", ".join(sorted(routes)) or f"none: the API {api} has no routes, run make drift"
        raise ValueError(f"ROUTE is {wanted or 'empty'}, expected one of the deployed routes, which are {there}")
    return {key: [*walk(gateway, accounts, routes[key], fetch)] for key in keys}


def open_accounts(environ: Mapping[str, str]) -> Iterator[Account]:
    """The gateway's account, by its profile or exported credentials, and the others that have a profile."""
    for name in ("GATEWAY_PROFILE", "ECS_PROFILE", "EC2_PROFILE"):
        profile = environ.get(name) or None
        if profile or name == "GATEWAY_PROFILE":
            try:
                yield Account(boto3.Session(profile_name=profile), environ["AWS_REGION"])
            except (UnseenError, BotoCoreError) as error:
                print(f"unseen  {name}={profile or ''}: {error}")


def main(wanted: str, environ: Mapping[str, str]) -> int:
    if not environ.get("AWS_REGION"):
        raise ValueError("AWS_REGION is missing, expected the region of the stacks, such as us-west-2")
    found = examine([*open_accounts(environ)], wanted)
    walked = [hop for each in found.values() for hop in each]
    for key, each in found.items():
        if wanted:
            print(*(f"{hop.mark:<7} {hop.name:<17} {hop.state}" for hop in each), sep="\n")
        else:
            print(f"{'broken' if any(hop.fault for hop in each) else 'ok':<7} {key}")
    faults = [*dict.fromkeys(hop.fault for hop in walked if hop.fault)]
    unseen = dict.fromkeys(hop.state for hop in walked if hop.mark == "unseen")
    print(*(faults[:1] if wanted else faults) or ["; ".join(["nothing is broken", *unseen])], sep="\n")
    return int(bool(faults))


if __name__ == "__main__":
    try:
        sys.exit(main(" ".join(sys.argv[1:]), os.environ))
    except (ValueError, UnseenError, ClientError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)
