"""The settings of global-apigw: the registry, and the name of each service's endpoint service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from common.settings import Settings, SettingsError, Variable, read_variables, variable
from infra.registry import Registry, load_registry

STACK = "global-apigw"
SERVICES = Path(__file__).parent.parent / "services.toml"
NAME_PATTERN = r"com\.amazonaws\.vpce\.[a-z0-9-]+\.vpce-svc-[0-9a-f]+"
NAME_EXAMPLE = "com.amazonaws.vpce.us-west-2.vpce-svc-0123456789abcdef0"


@dataclass(frozen=True, kw_only=True)
class GatewaySettings(Settings):
    """`service_names` maps an environment variable to the name of the endpoint service that it holds."""

    stack: str = STACK
    services: str = variable("SERVICES", "(?s).+", "services.toml", default=str(SERVICES))
    registry: Registry
    service_names: Mapping[str, str]

    @classmethod
    def read(cls, environ: Mapping[str, str], *unknown: str) -> Self:  # type: ignore[override] # the base has none
        """The variables `unknown` are not read: a later deploy of a provider yields their values."""
        values, problems = cls.read_fields(environ)
        registry = load_registry(Path(values["services"]))
        names = sorted({service.endpoint_service for service in registry.services.values()} - {*unknown})
        variables = {name: Variable(name, NAME_PATTERN, NAME_EXAMPLE) for name in names}
        service_names, wrong = read_variables(environ, variables)
        if problems or wrong:
            raise SettingsError(problems + wrong)
        return cls(**values, registry=registry, service_names=service_names)
