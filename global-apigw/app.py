"""CDK entry point of global-apigw: turns environment and registry into a stack."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import aws_cdk as cdk

from infra.services import Registry, RegistryError, load_registry
from infra.settings import Setting, SettingsError, load_settings
from infra.stack import GlobalApigwStack

SERVICE_NAME = Setting(
    r"com\.amazonaws\.vpce\.[a-z0-9-]+\.vpce-svc-[0-9a-f]+",
    "com.amazonaws.vpce.us-west-2.vpce-svc-0123456789abcdef0",
)


def read_registry(environ: Mapping[str, str]) -> Registry:
    """The registry that SERVICES names, services.toml when it names none."""
    path = Path(environ.get("SERVICES") or Path(__file__).with_name("services.toml"))
    if not path.is_file():
        raise SettingsError(
            f"error: SERVICES is {str(path)!r}, expected the path of a registry such as services.toml"
        )
    return load_registry(path.read_text())


def build(environ: Mapping[str, str], outdir: str | None = None) -> cdk.App:
    """The app, not yet synthesized; SettingsError or RegistryError when the input is incomplete."""
    registry = read_registry(environ)
    settings = load_settings(
        environ, **{service.endpoint_service: SERVICE_NAME for service in registry.services}
    )
    app = cdk.App(outdir=outdir)
    GlobalApigwStack(app, settings=settings, registry=registry)
    return app


if __name__ == "__main__":
    try:
        build(os.environ).synth()
    except (SettingsError, RegistryError) as problems:
        print(problems, file=sys.stderr)
        sys.exit(2)
