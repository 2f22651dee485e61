"""`python preflight.py VERB APPROVAL` runs the checks before a verb. The first that fails ends make, before the first change.

Only common/app.py and this module read os.environ. It does not import the CDK, so it answers at once.
"""

import os
import sys
from functools import partial

from common.changes import Changes, lift_termination_protection, protect
from common.checks import Check, check_bootstrap, check_listener_certificate, check_zones, main
from common.connections import check_connections, connections
from common.doctor import examine_provider
from common.follow import follow
from infra.repository import check_image
from infra.settings import EcsSettings

changes = Changes(os.environ)
# The checks before a verb, in order.
CHECKS: dict[str, list[Check]] = {
    # cdk.json runs it before each synth of the CDK CLI.
    "build": [check_image],
    "deploy": [check_zones, check_bootstrap, check_listener_certificate],
    # Between the synthesis and the deploy.
    "explain": [changes.explain],
    "changes": [changes.check],
    # After a deploy.
    "deployed": [protect],
    "failed": [protect],
    "destroy": [check_connections],
    "doctor": [examine_provider],
    "follow": [partial(follow, environ=os.environ)],
    "connections": [partial(connections, environ=os.environ)],
    # Before CloudFormation deletes the stack.
    "delete": [lift_termination_protection],
}

if __name__ == "__main__":
    main(sys.argv[1:], os.environ, EcsSettings, CHECKS)
