"""The CDK app of a folder: environment → settings → stack, without a call to anybody."""

import os
import sys
from collections.abc import Callable, Mapping

from aws_cdk import App, Stack
from jsii.errors import JavaScriptError

from common.settings import Settings, SettingsError


def build(
    own: type[Settings], stack: Callable[..., Stack], environ: Mapping[str, str], outdir: str | None = None
) -> App:
    """The app, not yet synthesized, with the folder's `own` settings; SettingsError when the environment is incomplete."""
    settings = own.read(environ)
    app = App(outdir=outdir)
    stack(app, settings=settings)
    return app


def synthesize(build: Callable[[Mapping[str, str]], App]) -> None:
    """Ends with exit code 2 and sentences for mistakes in the environment and for refusals of the CDK."""
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
