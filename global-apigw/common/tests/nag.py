"""cdk-nag over the app: `python -m common.tests.nag OUTDIR`; ends non-zero when a rule is neither kept nor acknowledged."""

import os
import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from app import build

app = build(os.environ, outdir=sys.argv[1])
cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
try:
    app.synth()
except RuntimeError as error:
    # The rules that failed are printed by the plugin.
    sys.exit(f"error: {error}")
