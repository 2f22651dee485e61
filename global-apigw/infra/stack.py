"""The global-apigw stack: wires network, endpoints and API, one service of the registry at a time."""

from aws_cdk import CfnOutput
from constructs import Construct

from common.alarms import dashboard_url
from common.dashboard import add_dashboard
from common.network import Network
from common.stack import BaseStack
from infra.api import Api
from infra.budgets import BUDGETS, add_budgets
from infra.endpoints import Endpoints
from infra.settings import GatewaySettings


class GlobalApigwStack(BaseStack):
    """One public HTTP API in front of services in other accounts, reached by PrivateLink."""

    def __init__(self, scope: Construct, *, settings: GatewaySettings) -> None:
        tags = {"owner": "platform-team", "service": "global-apigw", "cost-center": "platform"}
        super().__init__(scope, settings, description="one public API for services in other accounts", tags=tags)
        vpc = Network(self, "Network", zone_ids=settings.zone_ids).vpc
        api = Api(self, "Api", vpc=vpc, registry=settings.registry)
        endpoints = Endpoints(self, vpc, client=api.security_group)
        api.add_alarms(self.alarms)
        groups = {}
        # In order of name, so that the order of the file does not change the template.
        for name, service in sorted(settings.registry.services.items()):
            service_name = settings.service_names[service.endpoint_service]
            listener, groups[name] = endpoints.add_service(name, service, service_name)
            api.add_service(name, service, listener)
        # An alarm watches at most ten metrics.
        for first in range(0, len(groups), 10):
            self.alarms.healthy_targets(f"Targets{first // 10}", dict([*groups.items()][first : first + 10]))
        values = {"api": api.api.ref, "budgets": dashboard_url(self, BUDGETS)}
        add_dashboard(self, self.alarms, endpoints.nlb, api.access_log, **values)
        add_budgets(self, settings.registry, api.access_log)
        CfnOutput(self, "HttpApiEndpoint", value=api.url)
