"""CloudFormation's own ways, where moto goes others: types, change sets, rollback, deletion."""

import logging
from collections.abc import Callable
from typing import Any

from moto.cloudformation import models, parsing
from moto.cloudformation.exceptions import ValidationError

from .bindings import BINDINGS, resource_class

create_resource_in_moto = parsing.parse_and_create_resource
create_change_set_in_moto = models.CloudFormationBackend.create_change_set


class RefuseWhatMotoSkips(logging.Filter):
    """moto warns of a Fn::GetAtt that it does not know and drops the property; a deploy must fail instead."""

    def filter(self, record: logging.LogRecord) -> bool:
        raise ValidationError(message=record.getMessage())


class ResourceFailed(Exception):
    """The reason why a resource could not be made or deleted, and which one it was."""

    def __init__(self, logical_id: str, definition: Any, reason: Exception) -> None:
        super().__init__(getattr(reason, "message", None) or str(reason) or repr(reason))
        self.logical_id, self.type = logical_id, definition["Type"]


def create_resource(logical_id: str, resource_json: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return create_resource_in_moto(logical_id, resource_json, *args, **kwargs)
    except ResourceFailed:
        raise  # a resource that this one refers to
    except Exception as error:
        raise ResourceFailed(logical_id, resource_json, error) from error


def delete_resources(self: parsing.ResourceMap) -> None:
    """CloudFormation goes backwards through the dependencies and stops; moto takes any order and retries."""
    # Only what was made stays known: moto makes a known resource when somebody asks for it.
    known = self._resource_json_map
    self._resource_json_map = {name: known[name] for name in self._parsed_resources if name in known}
    for name, definition in reversed(list(self._resource_json_map.items())):
        if definition.get("DeletionPolicy") == "Retain":
            continue  # AWS goes on listing it, as DELETE_SKIPPED
        try:
            self._delete_resource(self._parsed_resources[name], definition)
        except Exception as error:
            raise ResourceFailed(name, definition, error) from error
        del self._parsed_resources[name], self._resource_json_map[name]


def report(stack: models.Stack, status: str, error: Exception | None = None) -> None:
    """What the CDK CLI reads: the stack's status, and an event that names the resource and the reason."""
    stack.status = status
    stack._add_stack_event(status, resource_status_reason=str(error) if error else None)
    if isinstance(error, ResourceFailed):
        stack.events[-1].logical_resource_id, stack.events[-1].resource_type = error.logical_id, error.type


def create_change_set(self: models.CloudFormationBackend, **arguments: Any) -> tuple[str, str]:
    for resource in models.Stack.parse_template(arguments["template"])["Resources"].values():
        resource_class(resource["Type"])  # AWS refuses unknown types here, before anything is made
    # A name is unique in its stack; moto finds any stack's. Others have been executed: forget them.
    for arn, known in list(self.change_sets.items()):
        if known.change_set_name == arguments["change_set_name"]:
            del self.change_sets[arn]
    return create_change_set_in_moto(self, **arguments)


def execute_change_set(self: models.CloudFormationBackend, change_set_name: str, **_: Any) -> None:
    """moto loses outputs and exports, and answers a failed resource with 500; AWS rolls the stack back."""
    change_set = self.describe_change_set(change_set_name)
    if change_set is None:
        raise ValidationError(message=f"ChangeSet [{change_set_name}] does not exist")
    stack, kind = change_set.stack, change_set.change_set_type
    change_set.execution_status = "EXECUTE_COMPLETE"
    try:
        if kind == "UPDATE":
            stack.update(change_set.template, stack.role_arn, change_set.parameters)
            return
        stack.template, stack.parameters = change_set.template, change_set.parameters
        stack._add_stack_event("CREATE_IN_PROGRESS", resource_status_reason="User Initiated")
        stack._parse_template()
        stack.cross_stack_resources = self.exports
        stack.resource_map = stack._create_resource_map()
        stack.output_map = stack._create_output_map()
        stack.create_resources()
        self.exports.update((export.name, export) for export in stack.exports)
    except Exception as error:
        report(stack, f"{kind}_FAILED", error)
        if kind == "CREATE":
            end_of(stack.resource_map.delete, stack, "ROLLBACK")


def delete_stack(self: models.CloudFormationBackend, name_or_stack_id: str) -> None:
    """CloudFormation keeps a stack whose deletion fails; moto loses it."""
    for stack in [each for each in self.stacks.values() if name_or_stack_id in (each.name, each.stack_id)]:
        for export in stack.exports:
            self.exports.pop(export.name, None)
        if end_of(stack.resource_map.delete, stack, "DELETE"):
            self.deleted_stacks[stack.stack_id] = self.stacks.pop(stack.stack_id)


def end_of(deletion: Callable[[], None], stack: models.Stack, kind: str) -> bool:
    stack.output_map = parsing.OutputMap(stack.resource_map, {}, stack.stack_id)
    try:
        deletion()
    except Exception as error:
        report(stack, f"{kind}_FAILED", error)
        return False
    report(stack, f"{kind}_COMPLETE")
    return True


def install() -> None:
    parsing.resource_class_from_type = resource_class
    parsing.get_name_type_map().update({name: binding.name for name, binding in BINDINGS.items()})
    parsing.parse_and_create_resource = create_resource
    parsing.ResourceMap.delete = delete_resources  # type: ignore[method-assign]
    logging.getLogger("moto").addFilter(RefuseWhatMotoSkips())
    for function in (create_change_set, execute_change_set, delete_stack):
        setattr(models.CloudFormationBackend, function.__name__, function)
