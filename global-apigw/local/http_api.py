"""What the synthesized template says about the HTTP API, as plain objects.

Follows each route to what answers it: route → integration → listener → target group → VPC endpoint → service name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from local.integration import Integration, read_integration
from local.template import Properties, Resource, Template, TemplateError

# The families whose every resource shapes an answer: one of an unknown type is refused.
FAMILIES = ("AWS::ApiGatewayV2::", "AWS::ElasticLoadBalancingV2::")
KNOWN_TYPES = {
    *(f"AWS::ApiGatewayV2::{kind}" for kind in ("Api", "Authorizer", "Integration", "Route", "Stage", "VpcLink")),
    *(f"AWS::ElasticLoadBalancingV2::{kind}" for kind in ("Listener", "LoadBalancer", "TargetGroup")),
    "AWS::EC2::VPCEndpoint",
    "Custom::AWS",
}


@dataclass(frozen=True)
class Throttle:
    """A token bucket: `rate` tokens a second, at most `burst`."""

    rate: float
    burst: int


@dataclass(frozen=True)
class Jwt:
    """A JWT authorizer."""

    issuer: str
    audience: tuple[str, ...]


@dataclass(frozen=True)
class Cors:
    """The API's CORS configuration; `max_age` in seconds."""

    allow_origins: tuple[str, ...]
    allow_methods: tuple[str, ...]
    allow_headers: tuple[str, ...]
    expose_headers: tuple[str, ...]
    max_age: int


@dataclass(frozen=True)
class Route:
    """`jwt` is None on an open route; a token needs one of `scopes`, if there are any."""

    method: str
    path: str
    throttle: Throttle
    integration: Integration
    jwt: Jwt | None
    scopes: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class HttpApi:
    """The API with its default stage. `access_log` maps a field to a $context variable."""

    routes: tuple[Route, ...]
    cors: Cors | None
    access_log: dict[str, str]


def read_http_api(template: Template) -> HttpApi:
    """The one HTTP API of the template; TemplateError for whatever this reader does not know."""
    for resource in template:
        if resource.type.startswith(FAMILIES) and resource.type not in KNOWN_TYPES:
            raise TemplateError(f"{resource.logical_id}: resource type {resource.type} is not known here")
    [api] = _exactly_one(template, "AWS::ApiGatewayV2::Api")
    [stage] = _exactly_one(template, "AWS::ApiGatewayV2::Stage")
    for resource in template.of_type("AWS::ApiGatewayV2::VpcLink"):
        with template.read(resource) as link:
            link.take("SubnetIds")
            link.take("SecurityGroupIds")
            link.ignore("Name")
    for resource in template.of_type("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        with template.read(resource) as balancer:
            balancer.expect("Type", "network")
            balancer.expect("Scheme", "internal")
            for name in ("Subnets", "SecurityGroups", "LoadBalancerAttributes"):
                balancer.take(name)
    cors = _read_api(template, api)
    throttles, default_throttle, access_log = _read_stage(template, stage)
    routes = [
        _read_route(template, resource, throttles, default_throttle)
        for resource in template.of_type("AWS::ApiGatewayV2::Route")
    ]
    unknown = throttles.keys() - {route.key for route in routes}
    if unknown:
        raise TemplateError(f"{stage.logical_id}: RouteSettings for routes that do not exist: {sorted(unknown)}")
    return HttpApi(tuple(routes), cors, access_log)


def _exactly_one(template: Template, type: str) -> list[Resource]:
    found = template.of_type(type)
    if len(found) != 1:
        raise TemplateError(f"expected one {type}, found {[resource.logical_id for resource in found]}")
    return found


def _read_api(template: Template, resource: Resource) -> Cors | None:
    with template.read(resource) as api:
        api.expect("ProtocolType", "HTTP")
        api.ignore("Name", "Tags")
        configuration = api.table("CorsConfiguration", {})
        with configuration as cors:
            origins = cors.take("AllowOrigins", None)
            if origins is None:
                return None
            return Cors(
                allow_origins=tuple(origins),
                allow_methods=tuple(cors.take("AllowMethods")),
                allow_headers=tuple(cors.take("AllowHeaders")),
                expose_headers=tuple(cors.take("ExposeHeaders")),
                max_age=cors.take("MaxAge"),
            )


def _read_throttle(settings: Properties) -> Throttle:
    with settings:
        return Throttle(settings.take("ThrottlingRateLimit"), settings.take("ThrottlingBurstLimit"))


def _read_stage(template: Template, resource: Resource) -> tuple[dict[str, Throttle], Throttle, dict[str, str]]:
    with template.read(resource) as stage:
        template.follow(stage.take("ApiId"), "AWS::ApiGatewayV2::Api")
        stage.expect("StageName", "$default")
        stage.expect("AutoDeploy", True)
        stage.ignore("Tags")
        default = _read_throttle(stage.table("DefaultRouteSettings"))
        settings = stage.table("RouteSettings", {})
        throttles = {key: _read_throttle(settings.table(key)) for key in settings.names()}
        with stage.table("AccessLogSettings") as access_log:
            access_log.take("DestinationArn")
            return throttles, default, json.loads(access_log.take("Format"))


def _read_route(template: Template, resource: Resource, throttles: dict[str, Throttle], default: Throttle) -> Route:
    with template.read(resource) as route:
        template.follow(route.take("ApiId"), "AWS::ApiGatewayV2::Api")
        method, _, path = str(route.take("RouteKey")).partition(" ")
        target = route.take("Target")
        integrations = template.mentioned(target, "AWS::ApiGatewayV2::Integration")
        if len(integrations) != 1:
            raise TemplateError(f"{route.where}: Target is {json.dumps(target)}, expected one integration")
        jwt, scopes = None, route.take("AuthorizationScopes", [])
        if route.expect("AuthorizationType", "NONE", "JWT") == "JWT":
            jwt = _read_authorizer(template, route.take("AuthorizerId"))
        return Route(
            method=method,
            path=path,
            throttle=throttles.get(f"{method} {path}", default),
            integration=read_integration(template, integrations[0]),
            jwt=jwt,
            scopes=tuple(scopes),
        )


def _read_authorizer(template: Template, reference: object) -> Jwt:
    with template.read(template.follow(reference, "AWS::ApiGatewayV2::Authorizer")) as authorizer:
        template.follow(authorizer.take("ApiId"), "AWS::ApiGatewayV2::Api")
        authorizer.expect("AuthorizerType", "JWT")
        authorizer.expect("IdentitySource", ["$request.header.Authorization"])
        authorizer.ignore("Name")
        with authorizer.table("JwtConfiguration") as jwt:
            return Jwt(jwt.take("Issuer"), tuple(jwt.take("Audience")))
