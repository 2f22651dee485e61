"""What this folder has of its own: its stack's name, its variables, its checks before a deploy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import boto3

from infra.guards import Checks
from infra.issuer import check_issuer
from infra.services import Registry, RegistryError, load_registry
from infra.settings import Setting, Settings, SettingsError, load_settings
from infra.visibility import check_region, check_services

STACK = "global-apigw"
DEFAULT_REGISTRY = str(Path(__file__).parent.parent / "services.toml")
SERVICE_NAME = Setting(
    r"com\.amazonaws\.vpce\.[a-z0-9-]+\.vpce-svc-[0-9a-f]+",
    "com.amazonaws.vpce.us-west-2.vpce-svc-0123456789abcdef0",
)


def read_registry(environ: Mapping[str, str]) -> Registry:
    """The registry that SERVICES names, services.toml when it names none; SettingsError lists its mistakes."""
    path = Path(environ.get("SERVICES") or DEFAULT_REGISTRY)
    if not path.is_file():
        raise SettingsError(
            f"error: SERVICES is {str(path)!r}, expected the path of a registry such as services.toml"
        )
    try:
        return load_registry(path.read_text())
    except RegistryError as problems:
        raise SettingsError(f"error: {path} has mistakes\n{problems}") from None


def read_settings(environ: Mapping[str, str], *unknown: str) -> Settings:
    """`values` holds SERVICES and each service's endpoint service name; SettingsError lists all that is wrong.

    Names in the variables `unknown` are those that the providers' next deploys yield.
    """
    variables = [service.endpoint_service for service in read_registry(environ).services]
    names = {variable: SERVICE_NAME for variable in variables if variable not in unknown}
    return load_settings(environ, SERVICES=Setting(".+", "services.toml", default=DEFAULT_REGISTRY), **names)


def _check_registry(session: boto3.Session, settings: Settings, stack: str) -> None:
    registry = read_registry(settings.values)
    variables = [service.endpoint_service for service in registry.services]
    # A preflight does not know them all.
    names = {variable: settings[variable] for variable in variables if variable in settings.values}
    check_region(settings, names)
    check_services(session, settings, names)
    check_issuer(registry)


CHECKS: Checks = {"deploy": [_check_registry]}
