"""`python preflight.py VERB APPROVAL` runs the checks before a verb. The first that fails ends make, before the first change.

Only common/app.py and this module read os.environ. It does not import the CDK, so it answers at once.
"""

import os
import sys

from common.checks import Check, check_bootstrap, check_connections, check_zones, main
from infra.repository import check_image
from infra.settings import EcsSettings

# The checks before a verb, in order.
CHECKS: dict[str, list[Check]] = {
    # cdk.json runs it before each synth of the CDK CLI.
    "build": [check_image],
    "deploy": [check_zones, check_bootstrap],
    "destroy": [check_connections],
}

if __name__ == "__main__":
    main(sys.argv[1:], os.environ, EcsSettings, CHECKS)
