"""`python preflight.py VERB APPROVAL [VARIABLE…]` refuses a deploy that would fail later, in one sentence, before anything changes.

Besides app.py, only this file reads os.environ. It does not import the CDK, whose import takes seconds.
"""

import os
import sys

from common.checks import Check, check_bootstrap, check_zones, main
from infra.checks import check_issuer, check_region, check_services
from infra.settings import STACK, GatewaySettings

# The checks before each verb, in order.
DEPLOY: list[Check] = [check_zones, check_region, check_services, check_issuer, check_bootstrap]
CHECKS: dict[str, list[Check]] = {"bootstrap": [], "diff": [], "deploy": DEPLOY, "failed": [], "destroy": []}

if __name__ == "__main__":
    main(sys.argv[1:], os.environ, STACK, GatewaySettings.read, CHECKS)
