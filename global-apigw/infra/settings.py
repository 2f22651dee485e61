"""The settings of global-apigw: the registry and the endpoint service name of each service in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from common.settings import Settings, SettingsError, Variable, read_variables, variable
from infra.registry import Registry, RegistryError, load_registry

STACK = "global-apigw"
SERVICES = Path(__file__).parent.parent / "services.toml"


@dataclass(frozen=True, kw_only=True)
class GatewaySettings(Settings):
    """`service_names` has the endpoint service names by the variable that holds the name."""

    stack: str = STACK
    services: str = variable("SERVICES", ".+", "services.toml", default=str(SERVICES))
    registry: Registry
    service_names: Mapping[str, str]

    @classmethod
    def read(cls, environ: Mapping[str, str], *unknown: str) -> Self:  # type: ignore[override] # the base has none
        """Names in the variables `unknown` are those that the next deploys of the providers yield."""
        values, problems = cls.read_fields(environ)
        registry = read_registry(Path(environ.get("SERVICES") or SERVICES))
        names = {service.endpoint_service for service in registry.services.values()} - {*unknown}
        service_names, wrong = read_variables(environ, {name: service_name(name) for name in sorted(names)})
        if problems or wrong:
            raise SettingsError(problems + wrong)
        return cls(**values, registry=registry, service_names=service_names)


def service_name(variable: str) -> Variable:
    """A variable that holds the name of an endpoint service."""
    example = "com.amazonaws.vpce.us-west-2.vpce-svc-0123456789abcdef0"
    return Variable(variable, r"com\.amazonaws\.vpce\.[a-z0-9-]+\.vpce-svc-[0-9a-f]+", example)


def read_registry(path: Path) -> Registry:
    """SettingsError lists the registry's mistakes."""
    if not path.is_file():
        raise SettingsError([f"SERVICES is {str(path)!r}, expected the path of a registry such as services.toml"])
    try:
        return load_registry(path.read_text())
    except RegistryError as problems:
        raise SettingsError([f"{path} has mistakes\n{problems}"]) from None
