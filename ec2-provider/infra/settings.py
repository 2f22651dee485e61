"""The settings of ec2-provider."""

from __future__ import annotations

from dataclasses import dataclass

from common.settings import PRINCIPAL, Settings, switch, variable

STACK = "ec2-provider"


@dataclass(frozen=True, kw_only=True)
class Ec2Settings(Settings):
    """`allowed_principal` may connect to the endpoint service; `bundle` is a path.

    `table_name` is an existing table to serve instead of the stack's own, a retained or restored one; after a comma one
    that instances still use until they are replaced. Empty for none.
    """

    stack: str = STACK
    allowed_principal: str = variable(*PRINCIPAL)
    table_name: str = variable("TABLE_NAME", r"([\w.-]{3,255}(,[\w.-]{3,255})?)?", "todo-restored", default="")
    ephemeral: bool = switch("EPHEMERAL")
    instance_logs: bool = switch("INSTANCE_LOGS")
    ssm: bool = switch("SSM")
    bundle: str = variable("BUNDLE", r".+\.tar\.gz", ".build/bundle.tar.gz", default=".build/bundle.tar.gz")
