"""PrivateLink between accounts, which moto lacks: who may connect to what, in which zones, where."""

import ipaddress
import tomllib
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidServiceName
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend, Zone
from moto.ec2.models.subnets import Subnet
from moto.ec2.models.vpc_service_configuration import VPCServiceConfiguration as Service
from moto.ec2.models.vpcs import VPCEndPoint
from moto.ec2.responses import EC2Response

from tools.synth import ROOT

ZONES = tomllib.loads((ROOT / "global-apigw/common/zones.toml").read_text())

# The region of the service in a request: ServiceRegion of a new endpoint, ServiceRegions of a description.
asked_region: ContextVar[str] = ContextVar("asked_region")
endpoint_request_in_moto = EC2Response.create_vpc_endpoint
services_request_in_moto = EC2Response.describe_vpc_endpoint_services
create_endpoint_in_moto = EC2Backend.create_vpc_endpoint
describe_services_in_moto = EC2Backend.describe_vpc_endpoint_services
modify_service_in_moto = EC2Backend.modify_vpc_endpoint_service_configuration
delete_services_in_moto = EC2Response.delete_vpc_endpoint_service_configurations


def zones(account: EC2Backend) -> list[Zone]:
    """AWS gives the zones other names in every account, never other ids."""
    same = RegionsAndZonesBackend.zones[account.region_name]
    shift = int(account.account_id) % len(same)
    return [Zone(same[k - shift].name, zone.region_name, zone.zone_id) for k, zone in enumerate(same)]


def zone_name(account: EC2Backend, zone_id: str) -> str:
    return next(zone.name for zone in zones(account) if zone.zone_id == zone_id)


def zone_ids(service: Service) -> list[str]:
    """A service is offered in the zones of its load balancers."""
    balancers = service.ec2_backend.elbv2_backend.load_balancers
    subnets = [subnet for arn in service.network_load_balancer_arns for subnet in balancers[arn].subnets]
    return sorted({subnet.availability_zone_id for subnet in subnets})


def visible_service(account: EC2Backend, name: str) -> Service:
    """To an account that is not admitted, and in a region that it is not offered to, AWS says that there is no such service."""
    region = asked_region.get()
    for regions in list(ec2_backends.values()):
        for service in regions[region].configurations.values():
            admitted = {"*", f"arn:aws:iam::{account.account_id}:root"} & set(service.principals)
            offered = account.region_name in (region, *service._supported_region_names)
            if service.service_name == name and offered and (admitted or service.ec2_backend is account):
                return service
    raise InvalidServiceName(name)


def describe_vpc_endpoint_services(self: EC2Backend, service_names: list[str], **arguments: Any) -> dict[str, Any]:
    if not any(".vpce." in name for name in service_names):
        return describe_services_in_moto(self, service_names, **arguments)
    details = []
    for service in [visible_service(self, name) for name in service_names]:
        # Without AvailabilityZoneIds, which nobody has seen in an answer yet; the names are the caller's.
        where = {"ServiceRegion": asked_region.get(), "Tags": []}
        there = self if service.ec2_backend.region_name == self.region_name else service.ec2_backend
        names = [zone_name(there, zone_id) for zone_id in zone_ids(service)]
        details.append(service.to_dict() | where | {"AvailabilityZones": names})
    return {"servicesDetails": details, "serviceNames": service_names, "nextToken": None}


def create_vpc_endpoint(self: EC2Backend, **arguments: Any) -> VPCEndPoint:
    name, waits = arguments["service_name"], False
    subnets = [self.get_subnet(subnet_id) for subnet_id in arguments["subnet_ids"]]
    if ".vpce." in name:
        service = visible_service(self, name)
        waits = service.acceptance_required
        outside = [net.id for net in subnets if net.availability_zone_id not in zone_ids(service)]
        if asked_region.get() != self.region_name:  # the zones need not match
            outside = [net.id for net in subnets if net.availability_zone_id in ZONES["without_cross_region"]]
        if outside:
            problem = f"{name} does not support the availability zone of the subnet: {outside[0]}."
            raise EC2ClientError("InvalidParameter", f"The VPC endpoint service {problem}")
    else:  # raises if AWS has no such service
        describe_services_in_moto(self, [name], [], 0, None, self.region_name)
    endpoint = create_endpoint_in_moto(self, **arguments)
    endpoint.state = "pendingAcceptance" if waits else "available"
    for interface in endpoint.network_interface_ids:  # moto puts them outside of their subnets
        self.enis.pop(interface)
    endpoint.network_interface_ids = []
    groups = arguments["security_group_ids"]
    for net in subnets:
        placed = self.create_network_interface(net, free_address(self, net), group_ids=groups)
        endpoint.network_interface_ids.append(placed.id)
    return endpoint


def create_endpoint(self: EC2Response) -> ActionResult:
    asked_region.set(self._get_param("ServiceRegion") or self.region)
    return endpoint_request_in_moto(self)


def describe_services(self: EC2Response) -> ActionResult:
    [region] = self._get_param("ServiceRegions", [self.region])
    asked_region.set(region)
    return services_request_in_moto(self)


def free_address(account: EC2Backend, subnet: Subnet) -> str:
    taken = {interface.private_ip_address for interface in account.enis.values()}
    addresses = [str(address) for address in ipaddress.ip_network(subnet.cidr_block).hosts()]
    return next(address for address in addresses[3:] if address not in taken)  # AWS keeps the first four


def everywhere() -> list[EC2Backend]:
    """All regions of all accounts."""
    return [region for accounts in list(ec2_backends.values()) for region in list(accounts.values())]


def connections(provider: EC2Backend) -> list[tuple[Service, VPCEndPoint]]:
    """The endpoints of all accounts and regions that lead to this account's services."""
    services = {service.service_name: service for service in provider.configurations.values()}
    ends = [end for region in everywhere() for end in region.vpc_end_points.values() if end.state != "deleted"]
    return [(services[end.service_name], end) for end in ends if end.service_name in services]


def protocol(service_name: str, port: int) -> str:
    """Of the listener of the service's load balancer on the port; empty, if there is none."""
    for service in [service for region in everywhere() for service in region.configurations.values()]:
        balancers = service.ec2_backend.elbv2_backend.load_balancers
        for arn in service.network_load_balancer_arns if service.service_name == service_name else ():
            for listener in balancers[arn].listeners.values():
                if str(listener.port) == str(port):
                    return str(listener.protocol)
    return ""


def describe_vpc_endpoint_connections(self: EC2Response) -> ActionResult:
    filters = {item["Name"]: item["Values"] for item in self._get_param("Filters", [])}
    if unknown := filters.keys() - {"service-id"}:
        raise EC2ClientError("InvalidFilter", f"the rehearsal does not know the filters {unknown}")
    found = [
        {"ServiceId": service.id, "VpcEndpointId": end.id, "VpcEndpointOwner": end.owner_id,
         "VpcEndpointState": end.state, "CreationTimestamp": end.creation_timestamp}
        for service, end in connections(self.ec2_backend)
        if service.id in filters.get("service-id", [service.id])
    ]  # fmt: skip
    return ActionResult({"VpcEndpointConnections": found})


def turn(self: EC2Response, before: Sequence[str], after: str) -> ActionResult:
    """The endpoints of the request, whose state must be one of `before` (*assumed*); those of other services are unknown."""
    service, failed = self._get_param("ServiceId"), []
    ends = {end.id: end for each, end in connections(self.ec2_backend) if each.id == service}
    for id in self._get_param("VpcEndpointIds"):
        if id in ends and ends[id].state in before:
            ends[id].state = after
        else:
            error = {"Code": "InvalidState", "Message": f"{id} is {ends[id].state if id in ends else 'unknown'}"}
            failed.append({"ResourceId": id, "Error": error})
    return ActionResult({"Unsuccessful": failed})


def accept_vpc_endpoint_connections(self: EC2Response) -> ActionResult:
    return turn(self, ("pendingAcceptance", "rejected"), "available")  # AWS takes minutes


def reject_vpc_endpoint_connections(self: EC2Response) -> ActionResult:
    return turn(self, ("pendingAcceptance", "pending", "available"), "rejected")


def delete_vpc_endpoint_service_configurations(self: EC2Response) -> ActionResult:
    """AWS keeps a service while endpoints are connected to it."""
    for service, end in connections(self.ec2_backend):
        if service.id in self._get_param("ServiceIds") and end.state != "rejected":
            message = f"Service {service.id} has existing active VPC Endpoint connections!"
            error = {"Code": "ExistingVpcEndpointConnections", "Message": message}
            return ActionResult({"Unsuccessful": [{"ResourceId": service.id, "Error": error}]})
    return delete_services_in_moto(self)


def modify_vpc_endpoint_service_configuration(self: EC2Backend, service_id: str, **arguments: Any) -> None:
    """The own region stays, as aws-controllers-k8s/community #2902 tells; that CloudFormation removes it is *assumed*."""
    if self.region_name in arguments["remove_supported_regions"]:
        raise EC2ClientError("InvalidParameter", "Cannot remove service region")
    modify_service_in_moto(self, service_id, **arguments)


def install() -> None:
    # moto makes the default VPC's subnets by zone name. Nothing uses them.
    EC2Backend.create_default_vpc = lambda self: self.create_vpc("172.31.0.0/16", is_default=True)  # type: ignore[method-assign]
    EC2Backend.zones = property(lambda self: {self.region_name: zones(self)})  # type: ignore[assignment]
    Subnet.availability_zone = property(lambda self: zone_name(self.ec2_backend, self.availability_zone_id))  # type: ignore[method-assign,assignment]
    Service.availability_zone_ids = property(zone_ids)  # type: ignore[attr-defined]
    modify = modify_vpc_endpoint_service_configuration
    for function in (create_vpc_endpoint, describe_vpc_endpoint_services, modify):
        setattr(EC2Backend, function.__name__, function)
    requests = {"create_vpc_endpoint": create_endpoint, "describe_vpc_endpoint_services": describe_services}
    for name, request in requests.items():
        setattr(EC2Response, name, request)
    accepted = accept_vpc_endpoint_connections, reject_vpc_endpoint_connections
    calls = describe_vpc_endpoint_connections, *accepted
    for call in (*calls, delete_vpc_endpoint_service_configurations):
        setattr(EC2Response, call.__name__, call)
