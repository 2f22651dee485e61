"""`python preflight.py VERB APPROVAL [VARIABLE…]` stops, in one sentence and before anything changes, at what would go wrong later.

Besides app.py the only reader of os.environ; without the CDK, so that it answers at once.
"""

import os
import sys

from common.checks import Check, check_bootstrap, check_zones, main
from infra.checks import check_issuer, check_region, check_services
from infra.settings import STACK, GatewaySettings

# What is checked before a verb, in order.
CHECKS: dict[str, list[Check]] = {
    "bootstrap": [],
    "diff": [],
    "deploy": [check_zones, check_region, check_services, check_issuer, check_bootstrap],
    "destroy": [],
}

if __name__ == "__main__":
    main(sys.argv[1:], os.environ, STACK, GatewaySettings.read, CHECKS)
