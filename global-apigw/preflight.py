"""`python preflight.py VERB APPROVAL [VARIABLE…]` runs the checks before a verb. The first that fails ends make, before the first change.

Only app.py and this module read os.environ. It does not import the CDK, so it answers at once.
"""

import os
import sys

from common.checks import Check, check_bootstrap, check_zones, main
from infra.checks import check_issuer, check_region, check_services
from infra.settings import GatewaySettings

# The checks before a verb, in order.
CHECKS: dict[str, list[Check]] = {"deploy": [check_zones, check_region, check_services, check_issuer, check_bootstrap]}

if __name__ == "__main__":
    main(sys.argv[1:], os.environ, GatewaySettings, CHECKS)
