"""Termination protection of stacks: moto has no call that changes it, and deletes a stack that has it."""

from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import CloudFormationBackend
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult


def update_termination_protection(self: CloudFormationResponse) -> ActionResult:
    stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
    stack.enable_termination_protection = self._get_bool_param("EnableTerminationProtection")
    return ActionResult({"StackId": stack.stack_id})


def install() -> None:
    """After cloudformation.install(), whose deletion goes on where nothing is protected."""
    delete_unprotected = CloudFormationBackend.delete_stack

    def delete_stack(self: CloudFormationBackend, name_or_stack_id: str) -> None:
        for stack in self.stacks.values():
            if name_or_stack_id in (stack.name, stack.stack_id) and stack.enable_termination_protection:
                reason = "cannot be deleted while TerminationProtection is enabled"
                raise ValidationError(message=f"Stack [{stack.name}] {reason}")
        delete_unprotected(self, name_or_stack_id)

    CloudFormationResponse.update_termination_protection = update_termination_protection  # type: ignore[attr-defined] # it lacks it
    CloudFormationBackend.delete_stack = delete_stack  # type: ignore[method-assign]
