"""What this folder has of its own: its stack's name, its variables, its checks before a deploy or destroy."""

from __future__ import annotations

from collections.abc import Mapping

from infra.connections import check_connections
from infra.guards import Checks
from infra.quota import check_quota
from infra.settings import Setting, Settings, load_settings
from infra.tables import check_table, report_left_table

STACK = "ec2-provider"
CHECKS: Checks = {
    "deploy": [check_table, check_quota],
    "failed": [report_left_table],
    "destroy": [check_connections],
}


def read_settings(environ: Mapping[str, str]) -> Settings:
    """SettingsError lists everything that is missing or malformed."""
    return load_settings(
        environ,
        API_GATEWAY_ACCOUNT_ARN=Setting(
            r"arn:aws:iam::\d{12}:(root|(role|user)/.+)", "arn:aws:iam::111111111111:root"
        ),
        # An existing table to serve instead of the stack's own, a retained or restored one; after a comma one that
        # instances still use until they are replaced.
        TABLE_NAME=Setting(r"([\w.-]{3,255}(,[\w.-]{3,255})?)?", "todo-restored", default=""),
        # Switches: "1" is on.
        EPHEMERAL=Setting("1?", "1", default=""),
        INSTANCE_LOGS=Setting("1?", "1", default=""),
        SSM=Setting("1?", "1", default=""),
        BUNDLE=Setting(r".+\.tar\.gz", ".build/bundle.tar.gz", default=".build/bundle.tar.gz"),
    )
