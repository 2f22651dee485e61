"""CDK entry point of ecs-provider: turns the environment into settings and the settings into a stack."""

import os
import sys
from collections.abc import Mapping

import aws_cdk as cdk

from infra.settings import Setting, SettingsError, load_settings
from infra.stack import EcsProviderStack

SETTINGS = {
    "API_GATEWAY_ACCOUNT_ARN": Setting(
        r"arn:aws:iam::\d{12}:(root|(role|user)/.+)", "arn:aws:iam::111111111111:root"
    ),
    "IMAGE_TAG": Setting(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", "001"),
}


def build(environ: Mapping[str, str], outdir: str | None = None) -> cdk.App:
    """The app, not yet synthesized; SettingsError when the environment is incomplete."""
    app = cdk.App(outdir=outdir)
    EcsProviderStack(app, settings=load_settings(environ, **SETTINGS))
    return app


if __name__ == "__main__":
    try:
        build(os.environ).synth()
    except SettingsError as problems:
        print(problems, file=sys.stderr)
        sys.exit(2)
