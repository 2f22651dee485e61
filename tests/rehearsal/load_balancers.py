"""Load balancers, where moto goes other ways than AWS: the health of targets, ports that are taken, what is in use."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.acm.models import acm_backends
from moto.apigatewayv2.models import apigatewayv2_backends
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.elbv2.exceptions import DuplicateListenerError, ELBClientError, ResourceInUseError
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeListener, elbv2_backends

from . import privatelink

Target = tuple[str, str, int]  # target group, address or instance, port
create_listener_in_moto = ELBv2Backend.create_listener
modify_listener_in_moto = ELBv2Backend.modify_listener
delete_load_balancer_in_moto = ELBv2Backend.delete_load_balancer
delete_security_group_in_moto = EC2Backend.delete_security_group

# By account, while an operation of CloudFormation is under way: the targets that have been healthy since before it.
# A new target needs two health checks, 20 s; CloudFormation does not wait for them. *assumed*: no operation lasts longer.
healthy_before: dict[str, set[Target]] = {}


def answers(account: Any, address: str, port: int, protocol: str) -> bool:
    """Behind the address is an endpoint, and behind the endpoint a load balancer with such a listener on the port."""
    if address.startswith("i-"):
        return True
    placed = [id for id, each in account.enis.items() if each.private_ip_address == address]
    ends = [end for end in account.vpc_end_points.values() if {*placed} & {*(end.network_interface_ids or ())}]
    return any(end.state == "available" and privatelink.protocol(end.service_name, port) == protocol for end in ends)


def health(balancers: ELBv2Backend, target: Target) -> tuple[str, str | None]:
    if not balancers._any_listener_using(target[0]):
        return "unused", "Target.NotInUse"
    protocol = "TLS" if balancers.target_groups[target[0]].health_check_protocol == "HTTPS" else "TCP"
    if not answers(balancers.ec2_backend, *target[1:], protocol):
        return "unhealthy", "Target.Timeout"
    if target not in healthy_before.get(balancers.account_id, {target}):
        return "initial", "Elb.InitialHealthChecking"
    return "healthy", None


def healthy(account: str, region: str) -> set[Target]:
    balancers: ELBv2Backend = elbv2_backends[account][region]
    registered = [
        (group.arn, each["Id"], each["Port"])
        for group in balancers.target_groups.values()
        for each in group.targets.values()
    ]
    return {target for target in registered if health(balancers, target)[0] == "healthy"}


@contextmanager
def operation(account: str, region: str) -> Iterator[None]:
    healthy_before[account] = healthy(account, region)
    try:
        yield
    finally:
        del healthy_before[account]


def look(account: str, region: str) -> None:
    """Whatever has failed a health check once starts anew."""
    healthy_before[account] = healthy(account, region)


def describe_target_health(self: ELBv2Backend, target_group_arn: str, targets: list[Any]) -> list[FakeHealthStatus]:
    [group] = self.describe_target_groups(None, [target_group_arn], None)
    found = [(group.arn, each["Id"], each["Port"]) for each in targets or group.targets.values()]
    return [FakeHealthStatus(each[1], str(each[2]), group.health_check_port, *health(self, each)) for each in found]


def check_port(balancers: ELBv2Backend, load_balancer: str, port: Any, but: str = "") -> None:
    for listener in balancers.load_balancers[load_balancer].listeners.values():
        if str(listener.port) == str(port) and listener.arn != but:
            raise DuplicateListenerError


def check_certificate(balancers: ELBv2Backend, protocol: Any, arn: Any) -> None:
    """A TLS listener, and no other, has a certificate, which is issued in its account and region; codes and texts are *assumed*."""
    found = acm_backends[balancers.account_id][balancers.region_name]._certificates.get(arn)
    if bool(arn) != (protocol == "TLS"):
        raise ELBClientError(
            "ValidationError", f"A certificate {'cannot' if arn else 'must'} be specified for {protocol} listeners"
        )
    if arn and not found:
        raise ELBClientError("CertificateNotFound", f"Certificate '{arn}' not found")
    if found and found.status != "ISSUED":
        raise ELBClientError("InvalidConfigurationRequest", f"The certificate '{arn}' must be issued")


def create_listener(self: ELBv2Backend, load_balancer_arn: str, *args: Any, **arguments: Any) -> FakeListener:
    check_port(self, load_balancer_arn, arguments.get("port"))
    check_certificate(self, *(arguments.get(key) for key in ("protocol", "certificate")))
    return create_listener_in_moto(self, load_balancer_arn, *args, **arguments)


def modify_listener(self: ELBv2Backend, arn: str, port: Any = None, *args: Any) -> FakeListener:
    [listener] = self.describe_listeners(load_balancer_arn=None, listener_arns=[arn])
    if port:
        check_port(self, listener.load_balancer_arn, port, but=arn)
    return modify_listener_in_moto(self, arn, port, *args)


def delete_load_balancer(self: ELBv2Backend, arn: str) -> None:
    if any(arn in service.network_load_balancer_arns for service in self.ec2_backend.configurations.values()):
        reason = "cannot be deleted because it is currently associated with another service"
        raise ResourceInUseError(f"Load balancer '{arn}' {reason}")
    delete_load_balancer_in_moto(self, arn)


def delete_security_group(self: EC2Backend, name: str | None = None, group_id: str | None = None) -> None:
    """AWS keeps a group while an interface has it: of an endpoint, a load balancer or a VPC link."""
    users = [end.security_group_ids for end in self.vpc_end_points.values() if end.state != "deleted"]
    users += [
        each.security_groups for each in elbv2_backends[self.account_id][self.region_name].load_balancers.values()
    ]
    links = apigatewayv2_backends[self.account_id][self.region_name].vpc_links
    users += [link.sg_ids for link in links.values()]
    if any(group_id in (groups or ()) for groups in users):
        raise EC2ClientError("DependencyViolation", f"resource {group_id} has a dependent object")
    delete_security_group_in_moto(self, name, group_id)


def install() -> None:
    for function in (create_listener, modify_listener, delete_load_balancer, describe_target_health):
        setattr(ELBv2Backend, function.__name__, function)
    EC2Backend.delete_security_group = delete_security_group  # type: ignore[method-assign,assignment]
