"""CDK entry point of ec2-provider: environment → settings → stack, without a call to anybody."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import aws_cdk as cdk
from jsii.errors import JavaScriptError

from common.settings import SettingsError
from infra.settings import Ec2Settings
from infra.stack import Ec2ProviderStack


def build(environ: Mapping[str, str], outdir: str | None = None) -> cdk.App:
    """The app, not yet synthesized; SettingsError when the environment is incomplete or the bundle is not built."""
    settings = Ec2Settings.read(environ)
    if not Path(settings.bundle).is_file():
        raise SettingsError([f"the bundle {settings.bundle} does not exist; build it with: make bundle"])
    app = cdk.App(outdir=outdir)
    Ec2ProviderStack(app, settings=settings)
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
