"""Where a route leads: integration → listener → target group → VPC endpoint → endpoint service name."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from local.template import Properties, Resource, Template, TemplateError

# What the endpoint lookup may contain between its references, so that every other shape is refused.
LOOKUP = re.compile(r'\{"action":"describeNetworkInterfaces","service":"EC2",')


@dataclass(frozen=True)
class Integration:
    """A backend in another account: `service_name` is its endpoint service; `timeout` in seconds.

    `overwrite` and `remove` are request headers; the values are $context variables.
    """

    logical_id: str
    service_name: str
    timeout: float
    overwrite: dict[str, str]
    remove: tuple[str, ...]


def read_integration(template: Template, resource: Resource) -> Integration:
    """The integration `resource`; TemplateError for whatever this reader does not know."""
    with template.read(resource) as integration:
        template.follow(integration.take("ApiId"), "AWS::ApiGatewayV2::Api")
        integration.expect("IntegrationType", "HTTP_PROXY")
        integration.expect("IntegrationMethod", "ANY")
        integration.expect("PayloadFormatVersion", "1.0")
        integration.expect("ConnectionType", "VPC_LINK")
        template.follow(integration.take("ConnectionId"), "AWS::ApiGatewayV2::VpcLink")
        overwrite, remove = _read_mappings(integration.table("RequestParameters", {}))
        return Integration(
            logical_id=resource.logical_id,
            service_name=_read_listener(template, integration.take("IntegrationUri")),
            timeout=integration.take("TimeoutInMillis") / 1000,
            overwrite=overwrite,
            remove=remove,
        )


def _read_mappings(parameters: Properties) -> tuple[dict[str, str], tuple[str, ...]]:
    """The headers to overwrite and to remove, in lower case: API Gateway takes one mapping a header, whatever its case."""
    mappings: dict[str, tuple[str, str]] = {}
    for key in parameters.names():
        value, (action, _, name) = parameters.take(key), key.partition(":header.")
        if action not in ("overwrite", "remove"):
            raise TemplateError(f"{parameters.where} {key} is not known here")
        if action == "remove" and value != "''":
            raise TemplateError(
                f"{parameters.where} {key} is {value!r}, expected \"''\": API Gateway removes a header for no other value"
            )
        if name.lower() in mappings:
            raise TemplateError(f"{parameters.where} {key}: the header has another mapping already")
        mappings[name.lower()] = action, value
    removed = tuple(name for name, (action, _) in mappings.items() if action == "remove")
    return {name: value for name, (_, value) in mappings.items() if name not in removed}, removed


def _read_listener(template: Template, reference: object) -> str:
    """The endpoint service name behind the listener that `reference` points at."""
    with template.read(template.follow(reference, "AWS::ElasticLoadBalancingV2::Listener")) as listener:
        template.follow(listener.take("LoadBalancerArn"), "AWS::ElasticLoadBalancingV2::LoadBalancer")
        listener.take("Port")
        listener.expect("Protocol", "TCP")
        actions = listener.tables("DefaultActions")
        if len(actions) != 1:
            raise TemplateError(f"{listener.where}: expected one default action, found {len(actions)}")
        with actions[0] as action:
            action.expect("Type", "forward")
            return _read_target_group(template, action.take("TargetGroupArn"))


def _read_target_group(template: Template, reference: object) -> str:
    with template.read(template.follow(reference, "AWS::ElasticLoadBalancingV2::TargetGroup")) as group:
        group.expect("Protocol", "TCP")
        group.expect("TargetType", "ip")
        group.take("VpcId")
        port = group.take("Port")
        # Health checks and draining have no part to play where one address stands for the service.
        group.ignore("TargetGroupAttributes", "HealthyThresholdCount", "UnhealthyThresholdCount")
        for name in ("Path", "Protocol", "IntervalSeconds", "TimeoutSeconds"):
            group.ignore(f"HealthCheck{name}")
        names = set()
        for target in group.tables("Targets"):
            with target:
                names.add(_read_endpoint(template, target.take("Id")))
                target.expect("Port", port)
        if len(names) != 1:
            raise TemplateError(f"{group.where}: expected the addresses of one endpoint, found {sorted(names)}")
        return str(names.pop())


def _read_endpoint(template: Template, address: object) -> str:
    """The service name of the endpoint whose interfaces the lookup behind `address` describes."""
    with template.read(template.follow(address, "Custom::AWS")) as lookup:
        lookup.take("ServiceToken")
        create = lookup.take("Create")
        lookup.expect("Update", create)
        lookup.ignore("InstallLatestAwsSdk", "ServiceTimeout")
        endpoints = template.mentioned(create, "AWS::EC2::VPCEndpoint")
        if len(endpoints) != 1 or not LOOKUP.search(json.dumps(create).replace("\\", "")):
            raise TemplateError(f"{lookup.where}: Create is not a lookup of one endpoint's network interfaces")
    with template.read(endpoints[0]) as endpoint:
        endpoint.expect("VpcEndpointType", "Interface")
        for name in ("VpcId", "SubnetIds", "SecurityGroupIds"):
            endpoint.take(name)
        endpoint.ignore("PrivateDnsEnabled", "Tags")
        return str(endpoint.take("ServiceName"))
