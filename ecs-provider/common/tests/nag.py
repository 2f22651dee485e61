"""cdk-nag over the app: `python -m common.tests.nag OUTDIR "NAME=value …" …` makes a template for each of the settings.

Ends non-zero when a rule is neither kept nor acknowledged.
"""

import os
import shlex
import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from app import build

_, outdir, *variants = sys.argv
# In one process: it starts the CDK's own runtime only once.
for number, switches in enumerate(variants):
    settings = dict(pair.split("=", 1) for pair in shlex.split(switches))
    app = build({**os.environ, **settings}, outdir=f"{outdir}/{number}")
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    try:
        app.synth()
    except RuntimeError as error:
        # The rules that failed are printed by the plugin.
        sys.exit(f"error: {switches}: {error}")
