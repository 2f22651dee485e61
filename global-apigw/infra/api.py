"""The public HTTP API: explicit routes, authorization, throttling, CORS and access logs.

Level 1 constructs, because per-route throttling has no other and because a route's logical id must stay what it is.
"""

from __future__ import annotations

import json

from aws_cdk import Acknowledgment, RemovalPolicy, Stack, Validations
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.registry import Registry, Route, Service

# docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
ACCESS_LOG_FORMAT = {
    "time": "$context.requestTimeEpoch",
    "requestId": "$context.requestId",
    "route": "$context.routeKey",
    "status": "$context.status",
    "latency": "$context.responseLatency",
    "integrationLatency": "$context.integrationLatency",
    "integrationStatus": "$context.integration.status",
    "integrationError": "$context.integrationErrorMessage",
    "authorizerError": "$context.authorizer.error",
    "sourceIp": "$context.identity.sourceIp",
    "subject": "$context.authorizer.claims.sub",
    "clientId": "$context.authorizer.claims.client_id",
}
# Overwritten or removed on the way to a backend, so that no client can pretend to be somebody.
REQUEST_ID = {"overwrite:header.x-request-id": "$context.requestId"}
IDENTITY = {
    # The two quotes are the value: an empty string would mean no mapping at all.
    "none": {"remove:header.x-auth-subject": "''"},
    "jwt": {"overwrite:header.x-auth-subject": "$context.authorizer.claims.sub"},
}


class Api(Construct):
    """`registry` gives the routes' settings; add_service() gives them their way through the load balancer."""

    def __init__(self, scope: Construct, id: str, *, vpc: ec2.IVpc, registry: Registry) -> None:
        super().__init__(scope, id)
        self.security_group = ec2.SecurityGroup(
            self, "VpcLinkSg", vpc=vpc, allow_all_outbound=False, description="VPC link"
        )
        cors = registry.api.cors_origins and apigateway.CfnApi.CorsProperty(
            allow_origins=list(registry.api.cors_origins),
            allow_methods=sorted({route.key.split()[0] for s in registry.services.values() for route in s.routes}),
            allow_headers=["authorization", "content-type"],
            expose_headers=["apigw-requestid", "link", "location"],
            max_age=300,
        )
        self.api = apigateway.CfnApi(
            self, "HttpApi", name=Stack.of(self).stack_name, protocol_type="HTTP", cors_configuration=cors or None
        )
        self._vpc_link = apigateway.CfnVpcLink(
            self,
            "VpcLink",
            name=Stack.of(self).stack_name,
            subnet_ids=[subnet.subnet_id for subnet in vpc.isolated_subnets],
            security_group_ids=[self.security_group.security_group_id],
        )
        self._authorizer = registry.api.jwt and apigateway.CfnAuthorizer(
            self,
            "Jwt",
            api_id=self.api.ref,
            name="jwt",
            authorizer_type="JWT",
            identity_source=["$request.header.Authorization"],
            jwt_configuration=apigateway.CfnAuthorizer.JWTConfigurationProperty(
                issuer=registry.api.jwt.issuer, audience=list(registry.api.jwt.audience)
            ),
        )
        self.access_log = logs.LogGroup(
            self, "AccessLog", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
        )
        self.stage = self._stage(registry)

    def _stage(self, registry: Registry) -> apigateway.CfnStage:
        throttles = {route.key: route.throttle for s in registry.services.values() for route in s.routes}
        return apigateway.CfnStage(
            self,
            "Stage",
            api_id=self.api.ref,
            # Any other name would be put in front of the path that backends see.
            stage_name="$default",
            auto_deploy=True,
            default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=registry.api.throttle.rate, throttling_burst_limit=registry.api.throttle.burst
            ),
            route_settings={
                key: {"ThrottlingRateLimit": throttle.rate, "ThrottlingBurstLimit": throttle.burst}
                for key, throttle in sorted(throttles.items())
                if throttle and throttle != registry.api.throttle
            },
            access_log_settings=apigateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=self.access_log.log_group_arn, format=json.dumps(ACCESS_LOG_FORMAT)
            ),
        )

    def add_service(self, name: str, service: Service, listener: elbv2.NetworkListener) -> None:
        """The service's routes, through the VPC link to its listener: one integration per authorization mode."""
        for auth in sorted({route.auth for route in service.routes}):
            integration = apigateway.CfnIntegration(
                self,
                f"{name}-{auth}",
                api_id=self.api.ref,
                integration_type="HTTP_PROXY",
                integration_method="ANY",
                integration_uri=listener.listener_arn,
                connection_type="VPC_LINK",
                connection_id=self._vpc_link.ref,
                payload_format_version="1.0",
                timeout_in_millis=service.timeout_seconds * 1000,
                request_parameters={**REQUEST_ID, **IDENTITY[auth]},
            )
            for route in service.routes:
                if route.auth == auth:
                    self._add_route(route, integration)

    def _add_route(self, route: Route, integration: apigateway.CfnIntegration) -> None:
        authorized = self._authorizer if route.auth == "jwt" else None
        resource = apigateway.CfnRoute(
            self,
            route.key,
            api_id=self.api.ref,
            route_key=route.key,
            target=f"integrations/{integration.ref}",
            authorization_type="JWT" if authorized else "NONE",
            authorizer_id=authorized.ref if authorized else None,
            authorization_scopes=list(route.scopes) or None,
        )
        if not authorized:
            Validations.of(resource).acknowledge(
                Acknowledgment(
                    id="AwsSolutions::AwsSolutions-APIG4", reason="open, because the registry says so; throttled"
                )
            )
        # A stage's route settings are refused for a route that does not exist yet.
        self.stage.add_resource_dependency(resource)
