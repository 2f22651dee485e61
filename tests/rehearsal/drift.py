"""Drift detection, which moto lacks: it notices a deleted interface endpoint, and says NOT_CHECKED of everything else."""

from datetime import UTC, datetime

from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends

from .operations import made_of


def detect_stack_drift(self: CloudFormationResponse) -> ActionResult:
    stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
    return ActionResult({"StackDriftDetectionId": stack.stack_id})


def describe_stack_drift_detection_status(self: CloudFormationResponse) -> ActionResult:
    stack_id = self._get_param("StackDriftDetectionId")
    about = {"StackId": stack_id, "StackDriftDetectionId": stack_id, "Timestamp": datetime.now(UTC)}
    return ActionResult(about | {"DetectionStatus": "DETECTION_COMPLETE"})


def describe_stack_resource_drifts(self: CloudFormationResponse) -> ActionResult:
    stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
    endpoints = ec2_backends[self.current_account][self.region].vpc_end_points
    drifts = []
    for name, made in made_of(stack).items():
        id, type = made.resource.physical_resource_id, made.definition["Type"]
        endpoint = endpoints.get(id) if type == "AWS::EC2::VPCEndpoint" else None
        status = "NOT_CHECKED" if endpoint is None else "DELETED" if endpoint.state == "deleted" else "IN_SYNC"
        drifts.append(
            {"StackId": stack.stack_id, "LogicalResourceId": name, "ResourceType": type,
             "PhysicalResourceId": id, "StackResourceDriftStatus": status, "Timestamp": datetime.now(UTC)}
        )  # fmt: skip
    return ActionResult({"StackResourceDrifts": drifts})


def install() -> None:
    for call in (detect_stack_drift, describe_stack_drift_detection_status, describe_stack_resource_drifts):
        setattr(CloudFormationResponse, call.__name__, call)
