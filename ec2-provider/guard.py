"""Twin: the same file in every folder, so that each deploys alone; tests/test_twins.py holds the copies equal.

`python guard.py bootstrap|diff|push|preflight|deploy|destroy APPROVAL [VARIABLE…]` stops, in one sentence and before anything
changes, at what would go wrong later. A preflight checks what a deploy does, except for the VARIABLEs that are not known yet.
`failed` says, after a deploy that failed, what it left behind.
Besides app.py the only reader of os.environ; without the CDK, so that it answers at once.
"""

import os
import sys

from botocore.exceptions import BotoCoreError, ClientError

from infra.guards import GuardError, check_bootstrap, check_terminal, check_zones, open_session
from infra.settings import SettingsError, load_settings
from infra.variables import CHECKS, STACK, read_settings


def guard(verb: str, approval: str, *unknown: str) -> None:
    """SettingsError or GuardError says why `verb` must not go on."""
    # To bootstrap or to destroy it is enough to know where.
    known_where = verb in ("bootstrap", "destroy")
    settings = load_settings(os.environ) if known_where else read_settings(os.environ, *unknown)
    check_terminal(verb, approval)
    session = open_session(settings)
    checks = [*CHECKS.get(verb, ())]
    if verb in ("preflight", "deploy"):
        checks = [check_zones, *CHECKS.get("deploy", ()), check_bootstrap]
    for check in checks:
        check(session, settings, STACK)


if __name__ == "__main__":
    try:
        guard(*sys.argv[1:])
    except (SettingsError, GuardError) as problems:
        print(problems, file=sys.stderr)
        sys.exit(2)
    except (BotoCoreError, ClientError) as error:
        print(f"error: AWS did not answer what was asked before the {sys.argv[1]}: {error}", file=sys.stderr)
        sys.exit(2)
