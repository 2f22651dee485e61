"""The DynamoDB table of the todos, which stays when the stack is deleted."""

from collections.abc import Sequence

from aws_cdk import Annotations, Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from common.alarms import Alarms

# The service's calls; it may make no others.
ACTIONS = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"]
OPERATIONS = [dynamodb.Operation.GET_ITEM, dynamodb.Operation.PUT_ITEM, dynamodb.Operation.SCAN]


class Database(Construct):
    """On demand, encrypted at rest (DynamoDB's own key), restorable to any second of the last 35 days.

    `adopted` are names of existing tables; with `ephemeral`, deleting the stack deletes its own table. Instances serve the
    first of `tables` and may use all. The stack's own table is always one of them, because old instances may serve it until
    new ones have replaced them.
    """

    def __init__(self, scope: Construct, id: str, *, adopted: Sequence[str], ephemeral: bool) -> None:
        super().__init__(scope, id)
        recovery = dynamodb.PointInTimeRecoverySpecification(point_in_time_recovery_enabled=True)
        own = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=recovery,
            deletion_protection=not ephemeral,
            # Not RetainExceptOnCreate: with deletion protection it breaks the rollback of a failed create.
            removal_policy=RemovalPolicy.DESTROY if ephemeral else RemovalPolicy.RETAIN,
        )
        if ephemeral:
            Annotations.of(own).add_warning("EPHEMERAL=1: destroying the stack will delete this table and all todos")
        self.tables = [*(dynamodb.Table.from_table_name(self, name, name) for name in adopted), own]


def add_table_alarms(alarms: Alarms, table: dynamodb.ITable) -> None:
    """The service retries a throttled or failed request twice; ten of them in five minutes are no accident."""
    for id, problem, metric in (
        ("table-throttled", "throttles", table.metric_throttled_requests_for_operations),
        ("table-errors", "fails", table.metric_system_errors_for_operations),
    ):
        alarms.add(
            id,
            metric(operations=OPERATIONS, period=Duration.minutes(5)),
            at_least=10,
            description=f"todo: DynamoDB {problem}; clients see 503 when retries do not help",
        )
