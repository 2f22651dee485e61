"""`python preflight.py VERB APPROVAL` runs the checks before a verb. The first that fails ends make, before the first change.

Only app.py and this module read os.environ. It does not import the CDK, so it answers at once.
"""

import os
import sys

from common.checks import Check, check_bootstrap, check_connections, check_zones, main
from infra.checks import check_quota, check_table, report_left_table
from infra.settings import Ec2Settings

# The checks before a verb, in order.
CHECKS: dict[str, list[Check]] = {
    "deploy": [check_zones, check_table, check_quota, check_bootstrap],
    # After a deploy that failed.
    "failed": [report_left_table],
    "destroy": [check_connections],
}

if __name__ == "__main__":
    main(sys.argv[1:], os.environ, Ec2Settings, CHECKS)
