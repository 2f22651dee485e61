"""`python preflight.py VERB APPROVAL` stops, in one sentence and before anything changes, at what would go wrong later.

Besides app.py the only reader of os.environ; without the CDK, so that it answers at once.
"""

import os
import sys

from common.checks import Check, check_bootstrap, check_zones, main
from common.connections import check_connections
from infra.repository import check_image
from infra.settings import STACK, EcsSettings

# What is checked before a verb, in order.
CHECKS: dict[str, list[Check]] = {
    "bootstrap": [],
    "diff": [],
    "push": [],
    # cdk.json: before each synth of the CDK CLI.
    "build": [check_image],
    "deploy": [check_zones, check_bootstrap],
    "destroy": [check_connections],
}

if __name__ == "__main__":
    main(sys.argv[1:], os.environ, STACK, EcsSettings.read, CHECKS)
