"""What a new template changes for the callers of the API: routes, authorization, services.

compare_routes() compares two templates and calls nobody: the preflight, tests and the rehearsal ask it.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import boto3

from common.changes import ACCEPT, REFUSED, Change, Document, deployed_template
from common.checks import stack_resources
from common.settings import Settings
from local.template import Resource, Template

API, BALANCING = "AWS::ApiGatewayV2::", "AWS::ElasticLoadBalancingV2::"
GENERATED = "default_endpoint"  # as in the registry
EVERYBODY = "every client, without a certificate"
STEPS = (
    "without an outage, in three deploys: add an entry with a name and a listener_port of its own, a variable of its own for "
    "another endpoint service, and routes = []; move the routes to it, once its targets are healthy; remove the old entry "
    "(README.md, Swap or rename a service)"
)


class Service(NamedTuple):
    """An entry of the registry: the port of its listener, and what its targets are. Two entries may have the same targets."""

    port: int
    targets: str
    health_path: str


class Route(NamedTuple):
    """`tokens` says whose tokens pass, empty for an open route; a token needs one of `scopes`, if there are any.

    `tls` is the name of the service's certificate, empty without TLS.
    """

    key: str
    service: str
    tokens: str
    scopes: tuple[str, ...]
    limits: str
    tls: str


class Api(NamedTuple):
    """Services by name; routes by key without the names of parameters, which match the same requests whatever their names.

    `addresses` are the names by which clients call the API, and the clients that each admits.
    """

    services: dict[str, Service]
    routes: dict[str, Route]
    cors: str
    addresses: dict[str, str]


def compare_routes(deployed: Document, new: Document) -> list[Change]:
    """TemplateError for a template that is not the gateway's."""
    before, after = read_api(deployed), read_api(new)
    return [*_services(before, after), *_routes(before, after), *_addresses(before, after)]


def read_api(document: Document) -> Api:
    template = Template(document)
    [api], [stage] = template.of_type(f"{API}Api"), template.of_type(f"{API}Stage")
    services: dict[str, Service] = {}
    names: dict[str, str] = {}  # by the logical id of the listener
    for listener in template.of_type(f"{BALANCING}Listener"):
        group, endpoint = behind(template, listener.properties)
        name = endpoint_name(template, endpoint)
        names[listener.logical_id] = name
        region = endpoint.properties.get("ServiceRegion")
        targets = f"{endpoint.properties['ServiceName']}:{group.properties['Port']}{f' in {region}' if region else ''}"
        services[name] = Service(listener.properties["Port"], targets, group.properties["HealthCheckPath"])
    routes = [_route(template, route.properties, stage.properties, names) for route in template.of_type(f"{API}Route")]
    shapes = {re.sub(r"\{\w+\}", "{}", route.key): route for route in routes}
    cors = api.properties.get("CorsConfiguration", {"AllowMethods": (), "AllowOrigins": ()})
    addresses = {} if api.properties.get("DisableExecuteApiEndpoint") else {GENERATED: EVERYBODY}
    for domain in [each.properties for each in template.of_type(f"{API}DomainName")]:
        truststore = domain.get("MutualTlsAuthentication", {}).get("TruststoreUri")
        admitted = f"clients with a certificate of {truststore}" if truststore else EVERYBODY
        addresses[domain["DomainName"]] = admitted
    return Api(services, shapes, " ".join([*cors["AllowMethods"], *cors["AllowOrigins"]]), addresses)


def behind(template: Template, listener: Document) -> tuple[Resource, Resource]:
    """The target group and the VPC endpoint behind a listener."""
    group = template.follow(listener["DefaultActions"][0]["TargetGroupArn"], f"{BALANCING}TargetGroup")
    lookup = template.follow(group.properties["Targets"][0]["Id"], "Custom::AWS").properties["Create"]
    found = template.references(lookup)
    [endpoint] = [each for each in template.of_type("AWS::EC2::VPCEndpoint") if each.logical_id in found]
    return group, endpoint


def endpoint_name(template: Template, endpoint: Resource) -> str:
    """The name of the service behind the endpoint."""
    tags = {tag["Key"]: tag["Value"] for tag in endpoint.properties.get("Tags", ())}
    # Before endpoints had names, each had a security group of its own, which had the name.
    group = template.follow(endpoint.properties["SecurityGroupIds"][0], "AWS::EC2::SecurityGroup").properties
    return str(tags.get("Name") or group["GroupDescription"].removeprefix("endpoint of "))


def _route(template: Template, route: Document, stage: Document, names: dict[str, str]) -> Route:
    integration = template.follow(route["Target"]["Fn::Join"][1][1], f"{API}Integration").properties
    tokens = ""
    if route["AuthorizationType"] != "NONE":
        jwt = template.follow(route["AuthorizerId"], f"{API}Authorizer").properties["JwtConfiguration"]
        tokens = f"{jwt['Issuer']} for {' or '.join(jwt['Audience'])}"
    throttle = stage.get("RouteSettings", {}).get(route["RouteKey"], stage["DefaultRouteSettings"])
    return Route(
        key=route["RouteKey"],
        service=names[template.follow(integration["IntegrationUri"], f"{BALANCING}Listener").logical_id],
        tokens=tokens,
        scopes=tuple(sorted(route.get("AuthorizationScopes", ()))),
        limits=f"{throttle['ThrottlingRateLimit']:g} requests/s, {throttle['ThrottlingBurstLimit']} at once, "
        f"{integration['TimeoutInMillis'] / 1000:g} s for an answer",
        tls=integration.get("TlsConfig", {}).get("ServerNameToVerify", ""),
    )


def _services(before: Api, after: Api) -> Iterator[Change]:
    kept = [(before.routes[shape], after.routes[shape]) for shape in before.routes.keys() & after.routes.keys()]
    used = {route.service for route in before.routes.values()} | {new.service for _, new in kept}
    ports = {service.port: name for name, service in before.services.items()}
    for name, service in after.services.items():
        moved = sorted(new.key for old, new in kept if new.service == name != old.service)
        if (holder := ports.get(service.port, name)) != name:
            # CloudFormation deletes last, and a load balancer has one listener for a port.
            yield Change(2, name, f"the listener of {holder} has the port {service.port} until the end of the deploy, so the "
                                  f"deploy would fail; take a listener_port that no service has or had; {STEPS}", REFUSED)  # fmt: skip
        elif (old := before.services.get(name)) is None:
            yield Change(5, name, f"is added with the listener port {service.port}, for {service.targets}")
            if moved:
                yield Change(2, name, f"gets {', '.join(moved)} in the deploy that adds it: its targets are not healthy yet, and "
                                      f"requests get a 503 until they are; {STEPS}", ACCEPT)  # fmt: skip
        elif old.targets != service.targets:
            change = f"leads to {service.targets} instead of {old.targets}"
            # CloudFormation does not wait until the new targets are healthy.
            outage = f"{change} at once: requests get a 503 until the new targets are healthy; {STEPS}"
            yield Change(2, name, outage, ACCEPT) if name in used else Change(5, name, change)
        elif old != service:
            yield Change(5, name, f"{old.port} {old.health_path} becomes {service.port} {service.health_path}")
    for name in before.services.keys() - after.services.keys():
        yield Change(4, name, "is removed with its listener and its endpoint")


def _routes(before: Api, after: Api) -> Iterator[Change]:
    for shape in before.routes.keys() - after.routes.keys():
        yield Change(4, before.routes[shape].key, "is removed: its callers get a 404")
    for shape, new in after.routes.items():
        if (old := before.routes.get(shape)) is None:
            yield Change(5, new.key, f"is added, to {new.service}, for {_callers(new)}")
            continue
        if (old.tokens, old.scopes) != (new.tokens, new.scopes):
            # One of the scopes is enough: a further scope lets further tokens in, and one less keeps tokens out.
            is_gain = not old.tokens or (old.tokens == new.tokens and not old.scopes)
            change = f"admits {_callers(new)}; deployed: {_callers(old)}"
            yield Change(5, new.key, change) if is_gain else Change(2, new.key, change, ACCEPT)
        if old.tls != new.tls:
            change = f"reaches {new.service} {_protocol(new)}; deployed: {_protocol(old)}"
            yield Change(2, new.key, change, ACCEPT) if old.tls else Change(5, new.key, change)
        if old.service != new.service:
            yield Change(5, new.key, f"moves from {old.service} to {new.service}")
        if old.limits != new.limits:
            yield Change(5, new.key, f"{old.limits} becomes {new.limits}")
        if old.key != new.key:
            yield Change(5, new.key, f"is the new name of {old.key}")
    if before.cors != after.cors:
        yield Change(5, "CORS", f"allows {after.cors or 'nobody'}; deployed: {before.cors or 'nobody'}")


def _addresses(before: Api, after: Api) -> Iterator[Change]:
    for name in before.addresses.keys() - after.addresses.keys():
        kept = " and ".join(before.addresses.keys() & after.addresses.keys())
        advice = (
            f"move them to {kept} first" if kept else "no address stays: add the new one in a deploy of its own first"
        )
        yield Change(2, name, f"is no address of the API any more, and its callers get no answer; {advice}", ACCEPT)
    for name, admitted in after.addresses.items():
        if (old := before.addresses.get(name)) is None:
            yield Change(5, name, "is a new address of the API")
        elif old != admitted:
            change = f"admits {admitted}; deployed: {old}"
            yield Change(2, name, change, ACCEPT) if EVERYBODY in (old, admitted) else Change(5, name, change)
    if GENERATED not in before.addresses and {*after.addresses} == {GENERATED}:
        yield Change(2, GENERATED, "is turned on in the deploy that removes the domain; if AWS ignores that, no address is "
                                   "left; deploy it beside the domain first", REFUSED)  # fmt: skip


def _protocol(route: Route) -> str:
    return f"over TLS, with a certificate of {route.tls}" if route.tls else "without TLS"


def _callers(route: Route) -> str:
    scopes = f" with the scope {' or '.join(route.scopes)}" if route.scopes else ""
    return f"tokens of {route.tokens}{scopes}" if route.tokens else "everybody, without a token"


def check_mutual_tls(session: boto3.Session, settings: Settings) -> None:
    """Turn mutual TLS off that the deployed template has not. Whether an update or a rollback does so, is not documented.

    Print what API Gateway says of a truststore: it takes one with an expired or a weak certificate.
    """
    deployed = deployed_template(session, settings)
    api = session.client("apigatewayv2", region_name=settings.region)
    for domain in Template(deployed).of_type(f"{API}DomainName") if deployed else ():
        name = domain.properties["DomainName"]
        found = api.get_domain_name(DomainName=name).get("MutualTlsAuthentication", {})
        if found.get("TruststoreUri") and "MutualTlsAuthentication" not in domain.properties:
            # An empty one turns it off: docs.aws.amazon.com/apigateway/latest/developerguide/http-api-mutual-tls.html
            api.update_domain_name(DomainName=name, MutualTlsAuthentication={"TruststoreUri": ""})
            print(f"mutual TLS of {name} was still on, and is turned off")
        for warning in found.get("TruststoreWarnings", ()):
            print(f"API Gateway warns of the truststore of {name}: {warning}")


def remove_route_settings(session: boto3.Session, settings: Settings) -> None:
    """API Gateway merges the stage's settings of routes (*assumed*): an update leaves those that the template has no more.

    So does the rollback of an update. A later update of the stage would fail at the settings of a route that is gone.
    """
    deployed = deployed_template(session, settings)
    api = session.client("apigatewayv2", region_name=settings.region)
    for stage in Template(deployed).of_type(f"{API}Stage") if deployed else ():
        [id] = stack_resources(session, settings, f"{API}Api")
        where = {"ApiId": id, "StageName": stage.properties["StageName"]}
        found = api.get_stage(**where).get("RouteSettings", {})
        for key in found.keys() - stage.properties.get("RouteSettings", {}).keys():
            api.delete_route_settings(**where, RouteKey=key)
