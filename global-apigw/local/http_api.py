"""The HTTP API of a synthesized template, as plain objects.

Each route is followed: route → integration → listener → target group → address lookup → VPC endpoint → service name.
`Json` is a property of CloudFormation as written; resources.yaml has its shape.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import fastjsonschema
import yaml

from local.template import Resource, Template, TemplateError

Json = dict[str, Any]

# The loader in C: the one in Python takes a tenth of a second.
SCHEMAS: Json = yaml.load((Path(__file__).parent / "resources.yaml").read_text(), yaml.CSafeLoader)
KNOWN_TYPES = {type: fastjsonschema.compile(schema) for type, schema in SCHEMAS.items()}
API, BALANCING = "AWS::ApiGatewayV2::", "AWS::ElasticLoadBalancingV2::"
# They stand for the generated name.
DEFAULT_HOSTS = ("127.0.0.1", "localhost", "[::1]")
# The only call of an address lookup.
LOOKUP = '{"action":"describeNetworkInterfaces","service":"EC2",'


class Integration(NamedTuple):
    """A backend in another account: `service_name` is its endpoint service; `timeout` in seconds.

    With a `server_name` it is asked over TLS, and its certificate must be one of that name. `headers` maps a request header in
    lower case to the $context variable that overwrites it, or to None, which removes it.
    """

    logical_id: str
    service_name: str
    server_name: str
    timeout: float
    headers: dict[str, str | None]


class Route(NamedTuple):
    """`jwt` is None on an open route; a token needs one of `scopes`, if there are any."""

    key: str
    throttle: Json
    integration: Integration
    jwt: Json | None
    scopes: list[str]


class HttpApi(NamedTuple):
    """The API with its default stage. `access_log` maps a field to a $context variable.

    It answers to the `hosts`, each with the URI of the truststore for the certificates of its clients, or with "".
    """

    routes: list[Route]
    hosts: dict[str, str]
    cors: Json | None
    access_log: dict[str, str]

    @property
    def truststore(self) -> str:
        return min(self.hosts.values())


def read_http_api(template: Template) -> HttpApi:
    """The one HTTP API of the template; TemplateError for anything that this reader does not know."""
    for resource in template:
        # Every resource of these families shapes the API's answers.
        if resource.type.startswith((API, BALANCING)):
            properties = _read(resource)
            if "ApiId" in properties:
                template.follow(properties["ApiId"], f"{API}Api")
    api, stage = (_only(template, f"{API}{kind}") for kind in ("Api", "Stage"))
    if template.of_type(f"{API}Authorizer"):
        _only(template, f"{API}Authorizer")
    routes = [_read_route(template, resource, stage.properties) for resource in template.of_type(f"{API}Route")]
    if unknown := stage.properties.get("RouteSettings", {}).keys() - {route.key for route in routes}:
        raise TemplateError(f"{stage.logical_id}: RouteSettings for routes that do not exist: {sorted(unknown)}")
    access_log = json.loads(stage.properties["AccessLogSettings"]["Format"])
    return HttpApi(routes, _read_hosts(template, api), api.properties.get("CorsConfiguration"), access_log)


def _read_hosts(template: Template, api: Resource) -> dict[str, str]:
    """A domain that nothing maps to the API does not lead to it."""
    hosts = {} if api.properties.get("DisableExecuteApiEndpoint") else dict.fromkeys(DEFAULT_HOSTS, "")
    for mapping in template.of_type(f"{API}ApiMapping"):
        template.follow(mapping.properties["Stage"], f"{API}Stage")
        domain = template.follow(mapping.properties["DomainName"], f"{API}DomainName").properties
        hosts[domain["DomainName"]] = domain.get("MutualTlsAuthentication", {}).get("TruststoreUri", "")
    if not hosts:
        raise TemplateError(f"{api.logical_id}: DisableExecuteApiEndpoint needs a domain: no client could call the API")
    if len({*hosts.values()}) > 1:
        raise TemplateError(f"{api.logical_id}: {[*hosts]} ask for different certificates, which one port cannot do")
    return hosts


def _only(template: Template, type: str) -> Resource:
    found = template.of_type(type)
    if len(found) != 1:
        raise TemplateError(f"expected one {type}, found {[resource.logical_id for resource in found]}")
    return found[0]


def _read(resource: Resource) -> Json:
    """The properties of the resource; TemplateError when resources.yaml does not know one of them."""
    if resource.type not in KNOWN_TYPES:
        raise TemplateError(f"{resource.logical_id}: resource type {resource.type} is not known here")
    try:
        KNOWN_TYPES[resource.type](resource.properties)
    except fastjsonschema.JsonSchemaValueException as error:
        raise TemplateError(f"{resource.logical_id} ({resource.type}): {_problem(error)}") from None
    return resource.properties


def _problem(error: fastjsonschema.JsonSchemaValueException) -> str:
    _, *path = error.path
    # Only the message has the names of properties that are missing or unknown.
    found = re.findall(r"'(.+?)'", error.message.removeprefix(str(error.name)))
    names, where = ", ".join(".".join([*path, name]) for name in sorted(found)), ".".join(path)
    match error.rule:
        case "required":
            return f"property {names} is missing"
        case "additionalProperties":
            return f"unknown property {names}"
        case rule:
            return f"{where} is {error.value!r}, expected {rule} {error.rule_definition!r}"


def _read_route(template: Template, resource: Resource, stage: Json) -> Route:
    route = resource.properties
    _, [_, reference] = route["Target"]["Fn::Join"]
    jwt = None
    if route["AuthorizationType"] == "JWT":
        jwt = template.follow(route["AuthorizerId"], f"{API}Authorizer").properties["JwtConfiguration"]
    return Route(
        key=route["RouteKey"],
        throttle=stage.get("RouteSettings", {}).get(route["RouteKey"], stage["DefaultRouteSettings"]),
        integration=_read_integration(template, template.follow(reference, f"{API}Integration")),
        jwt=jwt,
        scopes=route.get("AuthorizationScopes", []),
    )


def _read_integration(template: Template, resource: Resource) -> Integration:
    integration = resource.properties
    template.follow(integration["ConnectionId"], f"{API}VpcLink")
    headers: dict[str, str | None] = {}
    for key, value in integration.get("RequestParameters", {}).items():
        action, name = key.lower().split(":header.")
        # API Gateway takes one mapping of a header, whatever its case.
        if name in headers:
            raise TemplateError(f"{resource.logical_id}: {key}: the header has another mapping already")
        headers[name] = value if action == "overwrite" else None
    return Integration(
        logical_id=resource.logical_id,
        service_name=_read_listener(template, integration["IntegrationUri"]),
        server_name=integration.get("TlsConfig", {}).get("ServerNameToVerify", ""),
        timeout=integration["TimeoutInMillis"] / 1000,
        headers=headers,
    )


def _read_listener(template: Template, reference: Any) -> str:
    """The endpoint service behind the listener."""
    listener = template.follow(reference, f"{BALANCING}Listener").properties
    template.follow(listener["LoadBalancerArn"], f"{BALANCING}LoadBalancer")
    group = template.follow(listener["DefaultActions"][0]["TargetGroupArn"], f"{BALANCING}TargetGroup")
    ends = {(_read_lookup(template, target["Id"]), target["Port"]) for target in group.properties["Targets"]}
    match [*ends]:
        case [(name, port)] if port == group.properties["Port"]:
            return name
    raise TemplateError(f"{group.logical_id}: Targets are {sorted(ends)}, expected one endpoint, on the group's port")


def _read_lookup(template: Template, address: Any) -> str:
    """The endpoint service whose addresses the lookup finds."""
    resource = template.follow(address, "Custom::AWS")
    lookup = _read(resource)
    create = lookup["Create"]
    endpoints = [r for r in template.of_type("AWS::EC2::VPCEndpoint") if r.logical_id in template.references(create)]
    if len(endpoints) != 1 or lookup["Update"] != create or LOOKUP not in json.dumps(create).replace("\\", ""):
        raise TemplateError(
            f"{resource.logical_id}: Create is not a lookup of one endpoint's network interfaces, which Update repeats"
        )
    return str(_read(endpoints[0])["ServiceName"])
