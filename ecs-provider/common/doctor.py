"""Why a provider does not serve: the verb `doctor` walks from its endpoint service to what runs, read-only.

A hop whose fault follows from another fault has none of its own.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import boto3

from common.account import Account, Answer, Stack, UnseenError, stacks
from common.checks import CheckError, is_covered
from common.hops import GROUP, LISTENER, Hop, acl_hops, group_hop, interfaces, kept_hops, listener_hop, rule_hop, tell
from common.settings import Settings
from common.settled import settle

SERVICE, PERMISSIONS = "AWS::EC2::VPCEndpointService", "AWS::EC2::VPCEndpointServicePermissions"


def provider_hops(stack: Stack, service_id: str, name: str, port: int, gateway: str, server: str = "") -> Iterator[Hop]:
    """From the endpoint service to what runs, in the provider's account; a certificate must be one of the name `server`."""
    account, owner = stack.account, stack.owner
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
    yield (entry := listener_hop(account, owner, listener, name, port, ", ".join(stack.of_type(GROUP)), "provider NLB"))
    yield from seen(certificate_hops(account, owner, listener, name, server))
    where = f"{name} in {account.id}"
    behind = [entry, *seen(kept_hops(stack, where, stack.ids.values())), *seen(acl_hops(stack, where))]
    behind += seen(runtime_hops(stack, where))
    for action in listener.get("DefaultActions", ()):
        arn = action["TargetGroupArn"]
        behind.append(target_rule_hop(stack, balancers[0], arn))
        yield group_hop(stack, "provider targets", arn, where).unless(*behind)
    yield from behind[1:]


def certificate_hops(account: Account, owner: str, listener: Answer, name: str, server: str) -> Iterator[Hop]:
    """Of a TLS listener. The health checks look at no certificate."""
    for arn in (each["CertificateArn"] for each in listener.get("Certificates", ())):
        found = account.one("acm.describe_certificate", CertificateArn=arn).get("Certificate", {"Status": "gone"})
        names = {*found.get("SubjectAlternativeNames", ()), found.get("DomainName", "no name")}
        is_named = not server or is_covered(server, names)
        state = f"{found['Status']}, of {', '.join(sorted(names))}"
        values = {"arn": arn, "name": name, "state": state, "wanted": server or "the gateway's server_name"}
        fault = tell(found["Status"] != "ISSUED" or not is_named, "certificate", owner, **values)
        yield Hop("certificate", state, fault)


def target_rule_hop(stack: Stack, balancer: str, arn: str) -> Hop:
    """Whether the security groups let the load balancer reach the targets."""
    account = stack.account
    targets = account.all("elbv2.describe_target_health", TargetGroupArn=arn)
    group = account.first("elbv2.describe_target_groups", TargetGroupArns=[arn])
    placed, port = interfaces(account, group.get("VpcId", "")), group.get("Port", 0)
    own = account.first("elbv2.describe_load_balancers", LoadBalancerArns=[balancer]).get("SecurityGroups", [])
    found = [placed.get(each["Target"]["Id"], {}).get("Groups", ()) for each in targets]
    return rule_hop(
        account, stack.owner, (own, [each["GroupId"] for groups in found for each in groups], port, str(port))
    )


def actions(document: Answer) -> set[str]:
    """What a policy allows and denies; conditions and resources are not looked at."""
    stated = [(each["Effect"], each["Action"]) for each in document.get("Statement", ())]
    return {f"{effect} {each}" for effect, named in stated for each in ([named] if isinstance(named, str) else named)}


def right_hops(stack: Stack, name: str) -> Iterator[Hop]:
    """Roles and endpoints whose policies differ from those of the template."""
    held: list[tuple[str, Answer, Answer]] = []
    for body in stack.of_type("AWS::IAM::Policy").values():
        for role in (stack.ids[each["Ref"]] for each in body["Roles"]):
            found = stack.account.one("iam.get_role_policy", RoleName=role, PolicyName=body["PolicyName"])
            held.append((role, body, found or {"PolicyDocument": {}}))
    for id, body in stack.of_type("AWS::EC2::VPCEndpoint").items():
        end = stack.account.first("ec2.describe_vpc_endpoints", VpcEndpointIds=[id])
        is_there = end.get("State", "").lower() == "available"
        held.append((id, body, {"PolicyDocument": json.loads(end["PolicyDocument"])} if is_there else {}))
    for holder, body, found in held:
        if other := actions(body.get("PolicyDocument", {})) ^ actions(found.get("PolicyDocument", {})):
            values = {"holder": holder, "name": name, "other": ", ".join(sorted(other))}
            yield Hop("rights", holder, tell(True, "right" if found else "right gone", stack.owner, **values))


def runtime_hops(stack: Stack, name: str) -> Iterator[Hop]:
    """Rights, tasks and their image, instances, the table."""
    account, owner = stack.account, stack.owner
    yield from seen(right_hops(stack, name))
    for arn in stack.of_type("AWS::ECS::Service"):
        cluster = arn.split("/")[1]
        service = account.first("ecs.describe_services", cluster=cluster, services=[arn])
        if service.get("status") != "ACTIVE":
            yield Hop("tasks", "no service", tell(True, "tasks", owner, name=arn))
            continue
        task = account.one("ecs.describe_task_definition", taskDefinition=service["taskDefinition"])["taskDefinition"]
        image = task["containerDefinitions"][0]["image"].partition("/")[2]
        repository, _, tag = image.partition(":")
        is_there = account.all("ecr.describe_images", repositoryName=repository, imageIds=[{"imageTag": tag}])
        state = f"{service['runningCount']} of {service['desiredCount']} run {image}"
        arns = account.all("ecs.list_tasks", cluster=cluster, family=task["family"], desiredStatus="STOPPED")[:1]
        # docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html; ECS keeps them for an hour.
        ended = account.all("ecs.describe_tasks", cluster=cluster, tasks=arns) if arns else []
        events = [
            *[each["message"] for each in service["events"][:1]],
            *[f"stopped: {each.get('stoppedReason', '')}" for each in ended],
        ]
        fault = tell(not service["desiredCount"], "desired", owner, name=service["serviceName"], cluster=cluster)
        yield Hop("tasks", "; ".join([state, *events]), fault or tell(not is_there, "image", owner, image=image))
    for id in stack.of_type("AWS::AutoScaling::AutoScalingGroup"):
        group = account.first("autoscaling.describe_auto_scaling_groups", AutoScalingGroupNames=[id])
        states = [f"{each['InstanceId']} {each['LifecycleState']}" for each in group.get("Instances", ())]
        yield Hop("instances", ", ".join(states) or "none", tell(not group, "instances", owner, name=id))
    if table := stack.outputs.get("tablename", ""):
        status = account.one("dynamodb.describe_table", TableName=table).get("Table", {}).get("TableStatus", "missing")
        is_broken = status not in ("ACTIVE", "UPDATING")
        yield Hop("table", f"{table} {status}", tell(is_broken, "table", owner, table=table, status=status))


def seen(walk: Iterator[Hop]) -> Iterator[Hop]:
    """The hops, and why the rest could not be seen."""
    try:
        yield from walk
    except UnseenError as error:
        yield Hop("further checks", f"not seen ({error})")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        yield Hop("further checks", f"not seen (a stack or an answer of AWS has an unknown shape: {error!r})")


def report(found: Mapping[str, list[Hop]], stacks: Sequence[Stack] = ()) -> None:
    """A line a hop for one walk, a line a walk for several, then the sentences. Exits with 1 if something is broken.

    If nothing is, the deploy of the `stacks` settles doubts.
    """
    walked = [hop for each in found.values() for hop in each]
    for key, each in found.items():
        if len(found) == 1:
            print(*(f"{hop.mark:<7} {hop.name:<17} {hop.state}" for hop in each), sep="\n")
        else:
            print(f"{'broken' if any(hop.fault for hop in each) else 'ok':<7} {key}")
    faults = [*dict.fromkeys(hop.fault for hop in walked if hop.fault)]
    unseen = dict.fromkeys(hop.state for hop in walked if hop.mark == "unseen")
    if stacks and not faults:
        print(*settle(stacks), sep="\n")
    # Those with a status first: clients get it.
    faults.sort(key=lambda fault: not fault[:3].isdigit())
    print(*faults or ["; ".join(["nothing is broken", *unseen])], sep="\n")
    sys.exit(int(bool(faults)))


def connection_hops(stack: Stack, service_id: str, name: str) -> Iterator[Hop]:
    """The endpoints that are connected to the service, as its owner sees them."""
    filters = [{"Name": "service-id", "Values": [service_id]}]
    for each in stack.account.all("ec2.describe_vpc_endpoint_connections", Filters=filters):
        id, state = each["VpcEndpointId"], each["VpcEndpointState"]
        values = {"id": id, "name": name, "state": state, "service": service_id}
        waits = state.lower() in ("pendingacceptance", "rejected")
        fault = tell(waits, f"endpoint {state.lower()}", stack.owner, **values)
        yield Hop("connection", f"{id} of {each['VpcEndpointOwner']} {state}", fault)


def find(account: Account, name: str) -> Stack:
    for stack in stacks(account):
        if stack.name == name:
            return stack
    raise CheckError(
        f"expected the stack {name} in {account.id}, which has none; deploy it, or correct AWS_ACCOUNT and AWS_REGION"
    )


def provider_walk(stack: Stack) -> Iterator[Hop]:
    name = stack.tags.get("service", stack.name)
    [service_id], listeners = stack.of_type(SERVICE), stack.of_type(LISTENER).values()
    [permissions] = stack.of_type(PERMISSIONS).values()
    yield from connection_hops(stack, service_id, name)
    gateway = permissions["AllowedPrincipals"][0].split(":")[4]
    hops = [provider_hops(stack, service_id, name, listener["Port"], gateway) for listener in listeners]
    yield from dict.fromkeys(chain(*hops))  # most are the same for each listener


def examine_provider(session: boto3.Session, settings: Settings) -> None:
    """The verb `doctor` of a provider."""
    stack = find(Account(session, settings.region), settings.stack)
    report({stack.name: [*seen(provider_walk(stack))]}, [stack])
