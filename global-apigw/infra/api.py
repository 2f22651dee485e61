"""The public HTTP API: explicit routes, authorization, throttling, CORS, access logs and alarms.

Level 1 constructs: only they have throttles of single routes, and a route's logical id must stay what it is.
"""

import json
from pathlib import Path

from aws_cdk import Duration, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_logs as logs
from constructs import Construct

from common.alarms import Alarms
from common.stack import acknowledge, closed_security_group, log_group
from infra.budgets import INDEX
from infra.domain import add_domain
from infra.registry import Registry, Route, Service

# docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
ACCESS_LOG_FORMAT = json.loads((Path(__file__).parent / "access_log.json").read_text())
# The gateway overwrites or removes these headers, so that no client can pretend to be somebody else.
REQUEST_ID = {"overwrite:header.x-request-id": "$context.requestId"}
IDENTITY = {
    # The two quotes are the value: an empty string would mean no mapping at all.
    "none": {"remove:header.x-auth-subject": "''"},
    "jwt": {"overwrite:header.x-auth-subject": "$context.authorizer.claims.sub"},
}
# With a truststore: docs.aws.amazon.com/apigateway/latest/developerguide/http-api-mutual-tls.html
CLIENT_LOG = {name: f"$context.identity.clientCert.{name}" for name in ("subjectDN", "issuerDN", "serialNumber")}
PERIOD = Duration.minutes(5)


class Api(Construct):
    """`registry` gives the settings of all routes; add_service() creates the routes of one service. Clients call `url`."""

    def __init__(self, scope: Construct, id: str, *, vpc: ec2.IVpc, registry: Registry) -> None:
        super().__init__(scope, id)
        self.security_group = closed_security_group(self, vpc, "VPC link", "VpcLinkSg")
        name = Stack.of(self).stack_name
        cors = registry.api.cors_origins and apigateway.CfnApi.CorsProperty(
            allow_origins=registry.api.cors_origins,
            allow_methods=sorted({route.key.split()[0] for route in registry.routes}),
            allow_headers=["authorization", "content-type"],
            expose_headers=["apigw-requestid", "link", "location"],
            max_age=300,
        )
        self.api = apigateway.CfnApi(
            self,
            "HttpApi",
            name=name,
            protocol_type="HTTP",
            cors_configuration=cors or None,
            ip_address_type="dualstack",
            # With a domain, true and false are both written: AWS does not document what an update without the property does.
            disable_execute_api_endpoint=None if registry.api.domain is None else not registry.api.default_endpoint,
        )
        groups, subnets = [self.security_group.security_group_id], [subnet.subnet_id for subnet in vpc.isolated_subnets]
        self._vpc_link = apigateway.CfnVpcLink(
            self, "VpcLink", name=name, subnet_ids=subnets, security_group_ids=groups
        )
        self._authorizer = registry.api.jwt and apigateway.CfnAuthorizer(
            self,
            "Jwt",
            api_id=self.api.ref,
            name="jwt",
            authorizer_type="JWT",
            identity_source=["$request.header.Authorization"],
            jwt_configuration=apigateway.CfnAuthorizer.JWTConfigurationProperty(**dict(registry.api.jwt)),
        )
        self._certificate = CLIENT_LOG if registry.api.domain and registry.api.domain.truststore else {}
        self._log_format = ACCESS_LOG_FORMAT | self._certificate
        self._client = {"overwrite:header.x-client-cert-subject": CLIENT_LOG["subjectDN"]} if self._certificate else {}
        if registry.api.domain and not self._certificate:  # perhaps the domain had a truststore, on which services rely
            self._client = {"remove:header.x-client-cert-subject": "''"}
        self.access_log = log_group(self, "AccessLog", field_index_policies=[INDEX])
        self._stage = self._add_stage(registry)
        self.url = self.api.attr_api_endpoint
        if domain := registry.api.domain:
            add_domain(self, domain, self.api, self._stage)
            self.url = f"https://{domain.name}"

    def _add_stage(self, registry: Registry) -> apigateway.CfnStage:
        default = registry.api.throttle
        return apigateway.CfnStage(
            self,
            "Stage",
            api_id=self.api.ref,
            # API Gateway puts any other name in front of the path that backends see.
            stage_name="$default",
            auto_deploy=True,
            default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=default.rate, throttling_burst_limit=default.burst
            ),
            route_settings={
                route.key: {"ThrottlingRateLimit": route.throttle.rate, "ThrottlingBurstLimit": route.throttle.burst}
                for route in registry.routes
                if route.throttle and route.throttle != default
            },
            access_log_settings=apigateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=self.access_log.log_group_arn, format=json.dumps(self._log_format)
            ),
        )

    def add_service(self, name: str, service: Service, listener: elbv2.NetworkListener) -> None:
        """Create the service's routes, and one integration per authorization mode, through the VPC link to `listener`."""
        tls = service.tls and apigateway.CfnIntegration.TlsConfigProperty(server_name_to_verify=service.tls.server_name)
        for auth in sorted({route.auth for route in service.routes}):
            integration = apigateway.CfnIntegration(
                self,
                # Nobody says whether an update takes TLS or the mapping of a header from an integration, so the routes move
                # to another one.
                f"{name}-{auth}{'-tls' if tls else ''}{'-cert' if self._certificate else ''}",
                api_id=self.api.ref,
                integration_type="HTTP_PROXY",
                integration_method="ANY",
                integration_uri=listener.listener_arn,
                connection_type="VPC_LINK",
                connection_id=self._vpc_link.ref,
                payload_format_version="1.0",
                timeout_in_millis=service.timeout_seconds * 1000,
                request_parameters={**REQUEST_ID, **IDENTITY[auth], **self._client},
                tls_config=tls,
            )
            for route in service.routes:
                if route.auth == auth:
                    self._add_route(route, integration)

    def _add_route(self, route: Route, integration: apigateway.CfnIntegration) -> None:
        authorizer = self._authorizer if route.auth == "jwt" else None
        resource = apigateway.CfnRoute(
            self,
            route.key,
            api_id=self.api.ref,
            route_key=route.key,
            target=f"integrations/{integration.ref}",
            authorization_type="JWT" if authorizer else "NONE",
            authorizer_id=authorizer and authorizer.ref,
            authorization_scopes=route.scopes if authorizer else None,
        )
        if not authorizer:
            acknowledge(resource, "AwsSolutions-APIG4", "open, because the registry says so; throttled")
        # API Gateway refuses a stage's settings of a route that does not exist yet.
        self._stage.add_resource_dependency(resource)

    def add_alarms(self, alarms: Alarms) -> None:
        """README.md, "From alarm to cause", has the cause of each alarm and the next step.

        The ids have capital letters; the alarms of the services, which have the names of the services, have none.
        """
        metrics = apigateway.HttpApi.from_http_api_attributes(self, "Metrics", http_api_id=self.api.ref)
        requests = metrics.metric_count(statistic="Sum", period=PERIOD)
        errors = metrics.metric_server_error(statistic="Sum", period=PERIOD)
        percent = cloudwatch.MathExpression(
            expression="100 * errors / FILL(requests, 1)",
            using_metrics={"errors": errors, "requests": requests},
            period=PERIOD,
            label="5xx answers in percent",
        )
        # The retries of clients hide fewer.
        alarms.add(
            "ServerErrors", percent, at_least=1, periods=2, description="API: 1 % of the answers or more are 5xx"
        )
        latency = metrics.metric_latency(statistic="p99", period=PERIOD)
        # Services answer within milliseconds. Three seconds mean that they retry their own calls.
        alarms.add("Latency", latency, at_least=3000, periods=3, description="API: p99 latency of 3 s or more")
        failed = self._count("IntegrationErrors", '{ $.integrationError != "-" }')
        # A deploy or a lost instance costs one or two requests; ten in five minutes are a fault.
        alarms.add("IntegrationErrors", failed, at_least=10, description="API: backends not reached or too slow")
        throttled = self._count("ThrottledRequests", '{ $.status = "429" }')
        # A client in a loop reaches this number within seconds, ordinary bursts do not.
        alarms.add("Throttled", throttled, at_least=100, description="API: many requests over a limit")

    def _count(self, name: str, pattern: str) -> cloudwatch.Metric:
        """The matching lines of the access log: HTTP APIs have no metrics of integration errors and of 429s."""
        matches = logs.MetricFilter(
            self,
            name,
            log_group=self.access_log,
            filter_pattern=logs.FilterPattern.literal(pattern),
            metric_namespace=Stack.of(self).stack_name,
            metric_name=name,
        )
        return matches.metric(statistic="Sum", period=PERIOD)
