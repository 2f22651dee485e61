"""CDK entry point of global-apigw: turns environment and registry into a stack."""

import os
import sys
from collections.abc import Mapping

import aws_cdk as cdk

from infra.settings import SettingsError
from infra.stack import GlobalApigwStack
from infra.variables import read_registry, read_settings


def build(environ: Mapping[str, str], outdir: str | None = None) -> cdk.App:
    """The app, not yet synthesized; SettingsError when the environment or the registry is incomplete."""
    settings = read_settings(environ)
    app = cdk.App(outdir=outdir)
    GlobalApigwStack(app, settings=settings, registry=read_registry(environ))
    return app


if __name__ == "__main__":
    try:
        build(os.environ).synth()
    except SettingsError as problems:
        print(problems, file=sys.stderr)
        sys.exit(2)
