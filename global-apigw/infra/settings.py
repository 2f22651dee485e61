"""The settings of global-apigw: the registry, and the name of each service's endpoint service."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from common.settings import Settings, SettingsError, Variable, cross_region_problems, read_variables, variable
from infra.registry import Registry, load_registry

SERVICES = Path(__file__).resolve().parent.parent / "services.toml"
NAME = r"com\.amazonaws\.vpce\.[a-z0-9-]+\.vpce-svc-[0-9a-f]+"
EXAMPLE = "com.amazonaws.vpce.us-west-2.vpce-svc-0123456789abcdef0"
# A stand-in has the service's listener port in place of an id: local/envoy.py finds the service there.
STAND_IN = "com.amazonaws.vpce.{}.vpce-svc-{:017}"


@dataclass(frozen=True, kw_only=True)
class GatewaySettings(Settings):
    """`service_names` maps an environment variable to the name of the endpoint service that it holds."""

    stack: str = "global-apigw"
    services: str = variable(
        "SERVICES", "(?s).+", "services.toml", default=str(SERVICES), without="the routes are those of services.toml"
    )
    registry: Registry
    service_names: Mapping[str, str]

    @classmethod
    def read(cls, environ: Mapping[str, str], *unknown: str, **more: Any) -> Self:
        """The variables `unknown` are not read: a later deploy of a provider yields their values.

        STAND_INS=1, for local templates alone, gives a stand-in to each variable that is not set.
        """
        values, problems = cls.read_fields(environ)
        registry = load_registry(Path(values["services"]))
        # Of entries with one variable, a move leads from the first to the second: the local run has the service of the first.
        services = {service.endpoint_service: service for service in reversed(registry.services.values())}
        names = sorted(services.keys() - {*unknown})
        is_local = environ.get("STAND_INS") == "1"
        places = {name: (each.region or "us-west-2", each.listener_port) for name, each in services.items()}
        stand_ins = {name: STAND_IN.format(*places[name]) for name in names if is_local}
        variables = {name: Variable(name, NAME, EXAMPLE, stand_ins.get(name)) for name in names}
        service_names, wrong = read_variables(environ, variables)
        if {service.region for service in services.values()} - {"", values.get("region", "")}:
            wrong += cross_region_problems(values.get("zone_ids", ()))
        if problems or wrong:
            raise SettingsError(problems + wrong)
        return cls(**values, **more, registry=registry, service_names=service_names)

    @property
    def regions(self) -> dict[str, str]:
        """The region of the provider, by the variable with the name of its endpoint service."""
        return {each.endpoint_service: each.region or self.region for each in self.registry.services.values()}

    @property
    def remembered(self) -> dict[str, str]:
        """The path of a registry is that of one machine: its name is enough, or its place in this folder."""
        path = Path(self.services).resolve()
        name = path.relative_to(SERVICES.parent) if path.is_relative_to(SERVICES.parent) else path.name
        own = {} if path == SERVICES else {"SERVICES": str(name)}
        return {key: value for key, value in super().remembered.items() if key != "SERVICES"} | own

    @property
    def contract(self) -> Path:
        """The registry: the contracts of the services are not here."""
        return Path(self.services)
