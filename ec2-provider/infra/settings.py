"""The settings of ec2-provider."""

from dataclasses import dataclass

from common.provider import ProviderSettings
from common.settings import switch, variable

STACK = "ec2-provider"
# The tags of all resources of the stack; an adopted table must have them too.
TAGS = {"owner": "todo-team", "service": "todo", "cost-center": "todo"}


@dataclass(frozen=True, kw_only=True)
class Ec2Settings(ProviderSettings):
    """`bundle` is a path.

    `table_name` names an existing table to serve instead of the stack's own, for example a restored one, and after a comma
    a table that old instances use until new ones replace them. It may be empty.
    """

    stack: str = STACK
    table_name: str = variable(
        "TABLE_NAME", r"[\w.-]{3,255}(,[\w.-]{3,255})?", "todo-restored", default="",
        without="the stack's own table is served instead, and nobody sees the todos of the other one",
    )  # fmt: skip
    ephemeral: bool = switch("EPHEMERAL", without="the table stays when the stack is deleted")
    instance_logs: bool = switch("INSTANCE_LOGS", without="the log group is deleted, and new instances send no logs")
    ssm: bool = switch("SSM", without="nobody gets a shell on the new instances")
    bundle: str = variable("BUNDLE", r".+\.tar\.gz", ".build/bundle.tar.gz", default=".build/bundle.tar.gz")

    @property
    def adopted_tables(self) -> list[str]:
        """The tables of `table_name`; the first is served."""
        return list(dict.fromkeys(filter(None, self.table_name.split(","))))
