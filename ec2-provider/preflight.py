"""`python preflight.py VERB APPROVAL` stops, in one sentence and before anything changes, at what would go wrong later.

Besides app.py the only reader of os.environ; without the CDK, so that it answers at once.
"""

import os
import sys

from common.checks import Check, check_bootstrap, check_zones, main
from common.connections import check_connections
from infra.quota import check_quota
from infra.settings import STACK, Ec2Settings
from infra.tables import check_table, report_left_table

# What is checked before a verb, in order.
CHECKS: dict[str, list[Check]] = {
    "bootstrap": [],
    "diff": [],
    "deploy": [check_zones, check_table, check_quota, check_bootstrap],
    # After a deploy that failed.
    "failed": [report_left_table],
    "destroy": [check_connections],
}

if __name__ == "__main__":
    main(sys.argv[1:], os.environ, STACK, Ec2Settings.read, CHECKS)
