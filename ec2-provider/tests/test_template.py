"""The synthesized template, one fact a test; the name or the comment of a test says what goes wrong without the fact."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk.assertions import Match, Template

from app import build
from common.settings import SettingsError
from tests.conftest import ENVIRON, FOLDER

TABLE, POLICY, ENDPOINT = "AWS::DynamoDB::Table", "AWS::IAM::Policy", "AWS::EC2::VPCEndpoint"
GROUP, TEMPLATE, ALARM = "AWS::AutoScaling::AutoScalingGroup", "AWS::EC2::LaunchTemplate", "AWS::CloudWatch::Alarm"
OWN_TABLE = "DatabaseTableF104A135"
NO_GAP = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200}
READ_BUNDLE = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": Match.not_(Match.string_like_regexp(r".*\*"))}
USE_TABLE = {
    "Effect": "Allow",
    "Action": ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"],
    "Resource": {"Fn::GetAtt": [OWN_TABLE, "Arn"]},
}


def in_template(**data: Any) -> tuple[str, dict[str, Any]]:
    return TEMPLATE, {"Properties": {"LaunchTemplateData": data}}


def with_metric(name: str) -> tuple[str, dict[str, Any]]:
    metric = Match.object_like({"MetricStat": {"Metric": Match.object_like({"MetricName": name})}})
    return ALARM, {"Properties": {"Metrics": Match.array_with([metric])}}


FACTS: dict[str, tuple[str, dict[str, Any]]] = {
    "deleting the stack keeps the todos": (TABLE, {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}),
    "nobody deletes the table by mistake": (TABLE, {"Properties": {"DeletionProtectionEnabled": True}}),
    "the table can be restored": (
        TABLE,
        {"Properties": {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}},
    ),
    "two instances are there": (GROUP, {"Properties": {"MinSize": "2"}}),
    "an instance that does not answer is replaced": (GROUP, {"Properties": {"HealthCheckType": "ELB"}}),
    "instances are replaced without a gap": (GROUP, {"Properties": {"InstanceMaintenancePolicy": NO_GAP}}),
    "a deploy does not take back what Auto Scaling has added": (GROUP, {"Properties": {"DesiredCapacity": Match.absent()}}),
    # Target tracking adds no second instance during this time.
    "CPU scaling sees a new instance as soon as it has booted": (GROUP, {"Properties": {"DefaultInstanceWarmup": 180}}),
    "a refresh does not outrun its instances, and no alarm keeps the repairing deploy from starting": (
        GROUP,
        {
            "Properties": {"HealthCheckGracePeriod": 960},
            # Auto Scaling starts no refresh while a listed alarm is in ALARM or INSUFFICIENT_DATA; a rollback is a refresh too.
            "UpdatePolicy": {
                "AutoScalingInstanceRefresh": {"Preferences": Match.object_equals({**NO_GAP, "InstanceWarmup": 960})}
            },
        },
    ),
}
