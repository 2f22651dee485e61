"""HTTP APIs, where moto goes other ways than API Gateway: what it refuses, how it updates a stage and a route."""

import json
from functools import partial
from typing import Any
from urllib.parse import unquote

from moto.acm.models import acm_backends
from moto.apigatewayv2 import urls
from moto.apigatewayv2.exceptions import APIGatewayV2Error
from moto.apigatewayv2.models import Api, ApiGatewayV2Backend, DomainName, Integration, Route, Stage
from moto.apigatewayv2.responses import ApiGatewayV2Response
from moto.s3.models import s3_backends

create_route_in_moto, update_route_in_moto = Api.create_route, Route.update
create_stage_in_moto, create_domain_name_in_moto = Api.create_stage, ApiGatewayV2Backend.create_domain_name
update_integration_in_moto = Integration.update


class Refused(APIGatewayV2Error):
    def __init__(self, code: int, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.code = code


conflict, not_found = (partial(Refused, *each) for each in ((409, "ConflictException"), (404, "NotFoundException")))


def create_route(self: Api, *args: Any, **arguments: Any) -> Route:
    if arguments["route_key"] in [route.route_key for route in self.routes.values()]:
        raise conflict(f"Route with key {arguments['route_key']} already exists for this API")
    return create_route_in_moto(self, *args, **arguments)


def update_route(self: Route, **arguments: Any) -> None:
    """What is not given stays, as aws-cloudformation/cloudformation-coverage-roadmap #2184 tells of AuthorizerId.

    An empty list removes the scopes, and NONE removes the authorizer with its scopes (*assumed*).
    """
    update_route_in_moto(self, **arguments)
    if arguments["authorization_scopes"] is not None:
        self.authorization_scopes = arguments["authorization_scopes"]
    if self.authorization_type == "NONE":
        self.authorizer_id, self.authorization_scopes = None, []


def update_integration(self: Integration, **arguments: Any) -> None:
    """Mappings that are not given stay, as hashicorp/terraform-provider-aws #50083 tells; an empty one goes.

    That CloudFormation gives no empty ones is *assumed*.
    """
    merged = (self.request_parameters or {}) | (arguments["request_parameters"] or {})
    merged = {key: value for key, value in merged.items() if value}
    if len({key.partition(":")[2].lower() for key in merged}) < len(merged):
        raise Refused(400, "BadRequestException", f"Duplicate parameter mappings: {sorted(merged)}")
    update_integration_in_moto(self, **arguments)
    self.request_parameters = merged


def delete_integration(self: Api, integration_id: str) -> None:
    if users := [route.route_id for route in self.routes.values() if route.target == f"integrations/{integration_id}"]:
        raise conflict(
            f"Cannot delete Integration '{integration_id}' due to dependencies in the following Routes: {users}"
        )
    del self.integrations[integration_id]


def delete_authorizer(self: Api, authorizer_id: str) -> None:
    if users := [route.route_id for route in self.routes.values() if route.authorizer_id == authorizer_id]:
        raise conflict(f"Cannot delete authorizer '{authorizer_id}', is referenced in routes: {users}")
    del self.authorizers[authorizer_id]


def check_route_settings(api: Api, settings: dict[str, Any]) -> None:
    """*assumed*: a key that is left of a deleted route counts too."""
    if unknown := settings.keys() - {route.route_key for route in api.routes.values()}:
        raise not_found(f"Unable to find Route by key {min(unknown)} within the provided RouteSettings")


def create_stage(self: Api, config: dict[str, Any]) -> Stage:
    check_route_settings(self, config.get("routeSettings", {}))
    return create_stage_in_moto(self, config)


def create_domain_name(self: ApiGatewayV2Backend, **arguments: Any) -> DomainName:
    """Only with an issued certificate of this account and region for the name; the text is *assumed*."""
    certificates = acm_backends[self.account_id][self.region_name]._certificates
    for configuration in arguments["domain_name_configurations"]:
        found = certificates.get(configuration["certificateArn"])
        if not found or found.status != "ISSUED" or arguments["domain_name"] not in (found.common_name, *found.sans):
            raise Refused(400, "BadRequestException", "The provided certificate is not issued for this domain name.")
        if check_truststore(self, arguments["mutual_tls_authentication"]) and found.type != "AMAZON_ISSUED":
            raise Refused(400, "BadRequestException", "An ownership verification certificate is needed.")
    return create_domain_name_in_moto(self, **arguments)


def check_truststore(self: ApiGatewayV2Backend, settings: dict[str, str]) -> bool:
    """Whether there is one. It must be an object with certificates that this account can read; the text is *assumed*."""
    bucket, _, key = settings.get("truststoreUri", "").removeprefix("s3://").partition("/")
    store = s3_backends[self.account_id]["aws"]
    found = store.get_object(bucket, key) if bucket in store.buckets else None
    if bucket and (not found or b"BEGIN CERTIFICATE" not in found.value):
        raise Refused(400, "BadRequestException", "The truststore cannot be read, or has no certificate.")
    return bool(bucket)


def update_domain_name(self: ApiGatewayV2Response) -> tuple[int, dict[str, str], str]:
    """An empty URI turns mutual TLS off: http-api-mutual-tls.html of the developer guide."""
    name = self.apigatewayv2_backend.get_domain_name(domain_name=self.path.rpartition("/")[2])
    if settings := json.loads(self.body).get("mutualTlsAuthentication"):
        check_truststore(self.apigatewayv2_backend, settings)
        name.mutual_tls_authentication = settings
    return 200, {}, json.dumps(name.to_json())


def at(self: ApiGatewayV2Response) -> tuple[Api, Stage, str]:
    """API and stage of a path, and the rest of the path."""
    api_id, _, rest = self.path.partition("/v2/apis/")[2].partition("/stages/")
    name, _, rest = rest.partition("/routesettings/")
    api = self.apigatewayv2_backend.get_api(api_id)
    return api, api.get_stage(unquote(name)), unquote(rest)


def update_stage(self: ApiGatewayV2Response) -> tuple[int, dict[str, str], str]:
    """*assumed*: route settings are merged, so that those of a removed route stay until DeleteRouteSettings."""
    api, stage, _ = at(self)
    config = json.loads(self.body)
    merged = stage.route_settings | config.get("routeSettings", {})
    check_route_settings(api, merged)
    Stage.__init__(stage, api, stage.config | config | {"stageName": stage.name, "routeSettings": merged})
    return 200, {}, json.dumps(stage.to_json())


def delete_route_settings(self: ApiGatewayV2Response) -> tuple[int, dict[str, str], str]:
    _, stage, key = at(self)
    if stage.route_settings.pop(key, None) is None:
        raise not_found(f"Unable to find Route by key {key}")  # *assumed*
    return 204, {}, "{}"


def install() -> None:
    pattern = "{0}/v2/apis/(?P<api_id>[^/]+)/stages/(?P<stage_name>[^/]+)/routesettings/(?P<route_key>.+)$"
    urls.url_paths[pattern] = ApiGatewayV2Response.dispatch
    for function in (create_route, delete_integration, delete_authorizer, create_stage):
        setattr(Api, function.__name__, function)
    ApiGatewayV2Backend.create_domain_name = create_domain_name  # type: ignore[method-assign,assignment]
    Route.update = update_route  # type: ignore[method-assign,assignment]
    Integration.update = update_integration  # type: ignore[method-assign,assignment]
    for call in (update_stage, delete_route_settings, update_domain_name):
        setattr(ApiGatewayV2Response, call.__name__, call)
