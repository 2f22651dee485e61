"""`python preflight.py VERB APPROVAL [VARIABLE…]` runs the checks before a verb. The first that fails ends make, before the first change.

Only app.py and this module read os.environ. It does not import the CDK, so it answers at once.
"""

import os
import sys
from functools import partial

from common.changes import Changes, lift_termination_protection, protect
from common.checks import Check, check_bootstrap, check_zones, main
from common.follow import follow
from infra.changes import check_mutual_tls, compare_routes, remove_route_settings
from infra.checks import check_accepted, check_domain, check_issuer, check_region, check_services
from infra.doctor import doctor
from infra.settings import GatewaySettings

changes = Changes(os.environ, compare_routes)
# The checks before a verb, in order.
CHECKS: dict[str, list[Check]] = {
    "deploy": [check_zones, check_region, check_services, check_issuer, check_domain, check_bootstrap],
    # Between the synthesis and the deploy.
    "explain": [changes.explain],
    "changes": [changes.check],
    # After a deploy.
    "deployed": [protect, remove_route_settings, check_mutual_tls, check_accepted],
    "failed": [protect, remove_route_settings, check_mutual_tls],
    "doctor": [partial(doctor, environ=os.environ)],
    "follow": [partial(follow, environ=os.environ)],
    # Before CloudFormation deletes the stack.
    "delete": [lift_termination_protection],
}

if __name__ == "__main__":
    main(sys.argv[1:], os.environ, GatewaySettings, CHECKS)
