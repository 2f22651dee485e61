"""Why a route does not answer: the verb `doctor` walks its hops in the gateway's account, and in others that have a profile."""

from collections.abc import Iterator, Mapping

import boto3

from common.account import Account, Answer, Stack, UnseenError, all_stacks, open_accounts
from common.checks import CheckError
from common.doctor import find, provider_hops, report, seen
from common.hops import LISTENER, Hop, acl_hops, group_hop, kept_hops, listener_hop, rule_hop, tell
from common.settings import Settings
from infra import hops
from infra.changes import behind, endpoint_name
from infra.checks import read_document
from local.template import Template


def provider_of(accounts: list[Account], service_id: str) -> Stack:
    """The stack of the endpoint service, in one of the accounts that can be read."""
    for stack in all_stacks(accounts):
        if service_id in stack.ids.values():
            return stack
    raise UnseenError("no profile for its account, or no right to read its stacks")


def unseen_hop(gateway: Account, service_name: str, name: str, problem: str) -> Hop:
    """What the gateway's account alone can tell of the provider, and whom to ask."""
    region = service_name.split(".")[3]
    far = {} if region == gateway.client("ec2").meta.region_name else {"ServiceRegions": [region]}
    found = gateway.one("ec2.describe_vpc_endpoint_services", ServiceNames=[service_name], **far)
    for each in found.get("ServiceDetails", ()):
        ask = f"ask the team of {name} in {each['Owner']} to run make doctor in its folder"
        return Hop("provider", f"not seen ({problem}); {ask}")
    values = {"id": service_name.rpartition(".")[2], "name": name, "gateway": gateway.id}
    return Hop("endpoint service", "not visible", tell(True, "invisible", f"the team of {name}", **values))


def service_hops(gateway: Stack, accounts: list[Account], uri: str, link: Answer, server: str) -> Iterator[Hop]:
    """From the listener, which is known to be of the stack, to what runs."""
    account, owner, template = gateway.account, gateway.owner, Template(gateway.document)
    known = gateway.of_type(LISTENER)[uri]
    group, end = behind(template, known)
    name, port, service_name = endpoint_name(template, end), known["Port"], end.properties["ServiceName"]
    listener = account.first("elbv2.describe_listeners", ListenerArns=[uri])
    arn, id, target_port = gateway.ids[group.logical_id], gateway.ids[end.logical_id], group.properties["Port"]
    yield (entry := listener_hop(account, owner, listener, name, port, arn, "listener"))

    who = f"the team of {name}"
    try:
        provider = provider_of(accounts, service_name.rpartition(".")[2])
        who = provider.owner
        further = [*seen(provider_hops(provider, service_name.split(".")[-1], name, target_port, account.id, server))]
    except UnseenError as error:
        further = [unseen_hop(account, service_name, name, str(error))]
    found = account.first("ec2.describe_vpc_endpoints", VpcEndpointIds=[id])
    endpoint = hops.endpoint_hop(found, id, name, service_name, owner, who).unless(further[0])
    balancers = account.all("elbv2.describe_load_balancers")
    arns = [listener.get("LoadBalancerArn")]
    own = [group for each in balancers if each["LoadBalancerArn"] in arns for group in each.get("SecurityGroups", ())]
    groups = [each["GroupId"] for each in found.get("Groups", ())]
    flows = (link.get("SecurityGroupIds", []), own, port, "0-65535"), (own, groups, target_port, str(target_port))
    yield (rules := rule_hop(account, owner, *flows))
    kept = [*seen(kept_hops(gateway, name, [arn, id, *filter(None, arns)])), *seen(acl_hops(gateway, name))]
    unseen = [each.state for each in further if each.mark == "unseen"]
    todo = "".join(unseen) or "everything behind is in order; run make drift in global-apigw"
    targets = group_hop(gateway, "targets", arn, name, todo).unless(entry, rules, endpoint, *kept, *further)
    yield hops.stale_hop(account, owner, arn, name, found) or targets
    yield from (*kept, endpoint, *further)


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
        yield hops.link_hop(link, integration["ConnectionId"], owner)
        server = integration.get("TlsConfig", {}).get("ServerNameToVerify", "")
        yield from service_hops(gateway, accounts, uri, link, server)


def examine(accounts: list[Account], wanted: str = "", fetch: hops.Fetch = read_document) -> dict[str, list[Hop]]:
    """The hops of each route, or of the wanted one; the first account is the gateway's."""
    gateway = find(accounts[0], "global-apigw")
    [api] = gateway.of_type("AWS::ApiGatewayV2::Api")
    listed = gateway.account.all("apigatewayv2.get_routes", ApiId=api)
    routes = {each["RouteKey"]: {**each, "ApiId": api} for each in listed}
    keys = [key for key in sorted(routes) if wanted in ("", key)]
    if not keys:
        there = ", ".join(sorted(routes)) or f"none: the API {api} has no routes, run make drift"
        raise CheckError(f"ROUTE is {wanted or 'empty'}, expected one of the deployed routes, which are {there}")
    return {key: [*seen(walk(gateway, accounts, routes[key], fetch))] for key in keys}


def doctor(session: boto3.Session, settings: Settings, *, environ: Mapping[str, str]) -> None:
    """The verb `doctor`: of ROUTE, or of all routes."""
    accounts = [*open_accounts(session, settings.region, environ.get("OTHER_PROFILES", ""))]
    found = examine(accounts, route := environ.get("ROUTE", ""))
    report(found, [] if route else [*all_stacks(accounts)])
