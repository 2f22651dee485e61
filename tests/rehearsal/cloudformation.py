"""CloudFormation's API, where moto goes other ways: types, change sets, rollback, deletion, protection."""

import json
import logging
from typing import Any

from moto.cloudformation import models, parsing
from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult

from . import operations
from .bindings import BINDINGS, resource_class

parse_template_in_moto = models.Stack.parse_template
create_change_set_in_moto = models.CloudFormationBackend.create_change_set


class RefuseWhatMotoSkips(logging.Filter):
    """moto warns of a Fn::GetAtt that it does not know and drops the property; a deploy must fail instead."""

    def filter(self, record: logging.LogRecord) -> bool:
        raise ValidationError(message=record.getMessage())


def create_change_set(self: models.CloudFormationBackend, **arguments: Any) -> tuple[str, str]:
    """AWS refuses unknown types and other types here, before anything is made."""
    known = [stack for stack in self.stacks.values() if stack.name == arguments["stack_name"]]
    for stack in [
        each for each in known if each.status == "REVIEW_IN_PROGRESS"
    ]:  # of a change set that was not executed
        known.remove(self.stacks.pop(stack.stack_id))
    made = operations.made_of(known[0]) if known else {}
    for name, resource in models.Stack.parse_template(arguments["template"])["Resources"].items():
        resource_class(resource["Type"])
        if name in made and made[name].definition["Type"] != resource["Type"]:
            message = f"The new template modifies resource type of the following resources: [{name}]"
            raise ValidationError(message=f"Update of resource type is not permitted. {message}")
    if arguments["change_set_type"] == "UPDATE" and known:
        [stack] = known
        if stack.status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"):
            message = f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated."
            raise ValidationError(message=message)
    # A name is unique in its stack; moto finds any stack's. Others have been executed: forget them.
    delete_change_set(self, arguments["change_set_name"])
    id, stack_id = create_change_set_in_moto(self, **arguments)
    change_set = self.change_sets[id]
    goal = operations.Operation(change_set.stack, change_set.template, change_set.parameters)
    before, change_set.status_reason = change_set.stack.__dict__.get("goal"), None
    change_set.status, change_set.execution_status = "CREATE_COMPLETE", "AVAILABLE"
    if before and goal.content() == before.content():
        change_set.status, change_set.execution_status = "FAILED", "UNAVAILABLE"
        reason = (
            "The submitted information didn't contain changes. Submit different information to create a change set."
        )
        change_set.status_reason = reason
    return id, stack_id


def delete_change_set(self: models.CloudFormationBackend, change_set_name: str) -> None:
    """No error when there is none."""
    for arn, each in list(self.change_sets.items()):
        if change_set_name in (arn, each.change_set_name):
            del self.change_sets[arn]


def describe_change_set(self: models.CloudFormationBackend, change_set_name: str) -> models.ChangeSet:
    for arn, each in self.change_sets.items():
        if change_set_name in (arn, each.change_set_name):
            return each
    error = ValidationError(message=f"ChangeSet [{change_set_name}] does not exist")
    error.code = "ChangeSetNotFound"
    raise error


def execute_change_set(self: models.CloudFormationBackend, change_set_name: str, **_: Any) -> None:
    """moto loses outputs and exports, and answers a failed resource with 500; AWS rolls the stack back."""
    change_set = describe_change_set(self, change_set_name)
    if change_set.execution_status != "AVAILABLE":
        raise ValidationError(message=f"ChangeSet [{change_set_name}] cannot be executed in its current status")
    change_set.execution_status = "EXECUTE_COMPLETE"
    stack, kind = change_set.stack, change_set.change_set_type
    stack.cross_stack_resources = self.exports
    operation = operations.update if kind == "UPDATE" else operations.create
    operation(stack, change_set.template, change_set.parameters)
    self.exports.update((export.name, export) for export in stack.exports)


def delete_stack(self: models.CloudFormationBackend, name_or_stack_id: str) -> None:
    """CloudFormation keeps a stack whose deletion fails; moto loses it."""
    for stack in [each for each in self.stacks.values() if name_or_stack_id in (each.name, each.stack_id)]:
        if stack.enable_termination_protection:
            message = f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
            raise ValidationError(message=message)
        for export in stack.exports:
            self.exports.pop(export.name, None)
        goal = stack.__dict__.get("goal")
        if goal is None or operations.delete(goal, "DELETE"):
            stack.status = "DELETE_COMPLETE"
            self.deleted_stacks[stack.stack_id] = self.stacks.pop(stack.stack_id)


def parse_template(text: str) -> Any:
    """As JSON where it is JSON: moto's reader of YAML takes half a second for the gateway's."""
    try:
        return json.loads(text)
    except ValueError:
        return parse_template_in_moto(text)


def parse_change_set(self: models.ChangeSet) -> None:
    self.template_dict = parse_template(self.template)


def given_parameters(self: models.Stack) -> dict[str, Any]:
    """What UsePreviousValue means: the name of an SSM parameter, not its value."""
    defaults = {name: each.get("Default") for name, each in self.template_dict.get("Parameters", {}).items()}
    return defaults | self.parameters


def update_stack(self: models.CloudFormationBackend, **_: Any) -> models.Stack:
    raise ValidationError(message="the rehearsal knows updates by change sets alone, as the CDK CLI makes them")


def update_termination_protection(self: CloudFormationResponse) -> ActionResult:
    stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
    stack.enable_termination_protection = self._get_bool_param("EnableTerminationProtection")
    return ActionResult({"StackId": stack.stack_id})


def install() -> None:
    parsing.resource_class_from_type = resource_class
    parsing.get_name_type_map().update({name: binding.name for name, binding in BINDINGS.items()})
    logging.getLogger("moto").addFilter(RefuseWhatMotoSkips())
    for function in (
        create_change_set,
        delete_change_set,
        describe_change_set,
        execute_change_set,
        delete_stack,
        update_stack,
    ):
        setattr(models.CloudFormationBackend, function.__name__, function)
    models.Stack.parse_template = staticmethod(parse_template)  # type: ignore[method-assign,assignment]
    models.Stack.stack_parameters = property(given_parameters)  # type: ignore[assignment,method-assign]
    models.ChangeSet._parse_template = parse_change_set  # type: ignore[method-assign]
    CloudFormationResponse._validate_different_update = lambda *_: None  # type: ignore[method-assign]
    CloudFormationResponse.update_termination_protection = update_termination_protection  # type: ignore[attr-defined]
