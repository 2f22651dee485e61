"""CDK entry point of ecs-provider: turns the environment into settings and the settings into a stack."""

import os
import sys
from collections.abc import Mapping

import aws_cdk as cdk
from jsii.errors import JavaScriptError

from infra.repository import why_not_pushed
from infra.settings import SettingsError
from infra.stack import EcsProviderStack
from infra.variables import read_settings


def build(environ: Mapping[str, str], outdir: str | None = None) -> cdk.App:
    """The app, not yet synthesized; SettingsError when the environment is incomplete."""
    settings = read_settings(environ)
    app = cdk.App(outdir=outdir)
    stack = EcsProviderStack(app, settings=settings)
    # Set when the CDK CLI asks: its deploy stops at an error, while its destroy goes on.
    if "CDK_CLI_VERSION" in environ and (problem := why_not_pushed(settings)):
        cdk.Annotations.of(stack).add_error(problem)
    return app


if __name__ == "__main__":
    try:
        build(os.environ).synth()
    except SettingsError as problems:
        print(problems, file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if not isinstance(error.__cause__, JavaScriptError):  # else it is a refusal of the CDK's
            raise
        print(f"error: the CDK cannot make this stack: {error}", file=sys.stderr)
        sys.exit(2)
