"""A first creation that fails leaves its protected table: its name is said, and the next deploy can serve it."""

import json
import re

import pytest

from .environment import REGION, STRANGER, Checkout, Environment

pytestmark = pytest.mark.slow
REASON = "boot failed: could not install Python\ntry 3 of 3 failed: dnf install -y -q python3.13"


def test_the_table_that_a_failed_creation_leaves_is_named_and_can_be_served(
    environment: Environment, fresh: Checkout
) -> None:
    team = environment.shell(STRANGER)
    assert fresh.run("make -C ec2-provider bootstrap", team).returncode == 0
    s3, dynamodb = environment.client(STRANGER, "s3"), environment.client(STRANGER, "dynamodb")
    signal = {"Bucket": f"cloudformation-waitcondition-{REGION}", "Key": "ec2-provider-FleetFirstBootHandle10626B60"}
    s3.create_bucket(Bucket=signal["Bucket"], CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(**signal, Body=json.dumps({"Status": "FAILURE", "Reason": REASON, "UniqueId": "i-0abc"}))
    failed = fresh.run("make deploy-ec2", team)
    assert failed.returncode != 0
    # What the instance said is read where the deploy was started, when the instance is gone.
    assert REASON in failed.stderr
    [table] = dynamodb.list_tables()["TableNames"]
    where = f"--region {REGION} --table-name {table}"
    assert (
        f"the creation of ec2-provider failed and left its table {table}; serve it in the next deploy: "
        f"make deploy TABLE_NAME={table}\n"
        f"or delete it:\n  aws dynamodb update-table {where} --no-deletion-protection-enabled\n"
        f"  aws dynamodb delete-table {where}\n"
    ) in failed.stderr
    s3.delete_object(**signal)
    serve = f"make deploy-ec2 TABLE_NAME={table}"
    # moto's table has neither the tags nor the backups of its template, like one that was restored.
    refused = fresh.run(serve, team).stderr
    assert [line.split()[2] for line in refused.splitlines() if line.startswith("  aws")] == [
        "update-continuous-backups",
        "tag-resource",
    ]
    recovery = {"PointInTimeRecoveryEnabled": True}
    dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=recovery)
    tags = [{"Key": key, "Value": value} for key, value in re.findall(r"Key=([\w-]+),Value=([\w-]+)", refused)]
    dynamodb.tag_resource(ResourceArn=dynamodb.describe_table(TableName=table)["Table"]["TableArn"], Tags=tags)
    again = fresh.run(serve, team)
    assert again.returncode == 0, again.stderr
    printed = json.loads((fresh.root / "ec2-provider/.outputs/ec2-provider.json").read_text())["ec2-provider"]
    assert printed["tablename"] == table
    [own] = set(dynamodb.list_tables()["TableNames"]) - {table}
    since = environment.mark()
    back = fresh.run("make deploy-ec2", team)
    assert f"TABLE_NAME={own},{table}; a later deploy may leave {table} out\n" in back.stderr
    assert environment.writes(since) == []
