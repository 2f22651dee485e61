"""Where todos live: one DynamoDB table, kept when the stack goes."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Annotations, Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from common.alarms import Alarms

# What the service does with its table; it is allowed nothing else.
OPERATIONS = {
    "GetItem": dynamodb.Operation.GET_ITEM,
    "PutItem": dynamodb.Operation.PUT_ITEM,
    "Scan": dynamodb.Operation.SCAN,
}


class Database(Construct):
    """On demand, encrypted at rest (DynamoDB's own key), restorable to any second of the last 35 days.

    `adopted` are names of tables that exist; `ephemeral` lets the stack's own go with the stack. `tables` are all that
    instances may use: they serve the first. The stack's own is always one of them, so that instances that serve it go on
    until others have replaced them.
    """

    def __init__(self, scope: Construct, id: str, *, adopted: Sequence[str], ephemeral: bool) -> None:
        super().__init__(scope, id)
        self.tables: list[dynamodb.ITable] = [
            *(dynamodb.Table.from_table_name(self, name, name) for name in adopted),
            self._own(ephemeral),
        ]

    def _own(self, ephemeral: bool) -> dynamodb.Table:
        table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=not ephemeral,
            # Not RetainExceptOnCreate: with deletion protection it breaks the rollback of a failed create.
            removal_policy=RemovalPolicy.DESTROY if ephemeral else RemovalPolicy.RETAIN,
        )
        if ephemeral:
            Annotations.of(table).add_warning("EPHEMERAL=1: destroying the stack will delete this table and all todos")
        return table


def add_table_alarms(alarms: Alarms, table: dynamodb.ITable) -> None:
    """The service retries a throttled or failed request twice; ten in five minutes are more than a hiccup."""
    minutes = Duration.minutes(5)
    alarms.add(
        "table-throttled",
        table.metric_throttled_requests_for_operations(operations=list(OPERATIONS.values()), period=minutes),
        at_least=10,
        description="todo: DynamoDB throttles; clients see 503 when retries do not help",
    )
    alarms.add(
        "table-errors",
        table.metric_system_errors_for_operations(operations=list(OPERATIONS.values()), period=minutes),
        at_least=10,
        description="todo: DynamoDB fails; clients see 503 when retries do not help",
    )
