"""What CloudFormation does to a stack, one resource after the other: create, update, replace, clean up, roll back, delete.

Everything goes along the dependencies. Among the resources that are ready AWS starts all at once, and nobody knows which ends
first: here chance decides, with the template as its seed. What does not change takes no time. Old resources are deleted after everything else has succeeded.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from graphlib import TopologicalSorter
from random import Random
from typing import Any

from moto.cloudformation import models, parsing
from moto.cloudformation.exceptions import ValidationError
from moto.ec2.models import ec2_backends
from moto.ec2.models.core import TaggedEC2Resource

from . import bindings, load_balancers
from .schemas import identifies, needs_replacement

Document = dict[str, Any]
# Called before and after each step with stack, verb and logical id. A test raises an error there, or looks at everything.
Watch = Callable[[models.Stack, str, str], None]
BEFORE: list[Watch] = []
AFTER: list[Watch] = []


class Failed(Exception):
    """The resource that could not be made, changed or deleted."""


@dataclass
class Made:
    """A resource of a stack, its definition with all values as it was applied, and the logical ids that it needs."""

    resource: Any
    definition: Document
    needs: set[str]


def references(value: Any) -> Iterator[str]:
    """The logical ids (and parameters) that the value refers to."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref":
                yield item
            elif key == "Fn::GetAtt":
                yield item[0]
            elif key == "Fn::Sub":
                text, values = item if isinstance(item, list) else (item, {})
                yield from re.findall(r"\$\{([\w:]+)", text)
                yield from references(values)
            else:
                yield from references(item)


def in_order(
    needs: Mapping[str, set[str]], seed: str, takes_no_time: Callable[[str], bool] = lambda name: False
) -> Iterator[str]:
    sorter = TopologicalSorter({name: others & needs.keys() for name, others in needs.items()})
    sorter.prepare()
    chance, ready, at_once = Random(seed), list[str](), list[str]()
    while sorter.is_active():
        for name in sorted(sorter.get_ready()):
            (at_once if takes_no_time(name) else ready).append(name)
        yield (name := at_once.pop() if at_once else ready.pop(chance.randrange(len(ready))))
        sorter.done(name)


def event(stack: models.Stack, status: str, reason: Any = None, name: str = "", type: str = "") -> None:
    """What the CDK CLI reads. Without a name it is the stack's own event, and its status."""
    stack._add_stack_event(status, resource_status_reason=str(reason) if reason else None)
    if name:
        last = stack.events[-1]
        last.logical_resource_id, last.resource_type, last.physical_resource_id = name, type, ""
    else:
        stack.status = status


def made_of(stack: models.Stack) -> dict[str, Made]:
    made: dict[str, Made] = stack.__dict__.setdefault("made", {})
    return made


def check_policy(stack: models.Stack, verb: str, name: str) -> None:
    """docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html: what is not allowed is denied."""
    statements = json.loads(stack.policy)["Statement"] if stack.policy else []
    effects = []
    for number, each in enumerate(statements, 1):
        if unknown := each.keys() - {"Sid", "Effect", "Action", "Principal", "Resource"}:
            raise ValidationError(message=f"the rehearsal does not know {unknown} of a stack policy")
        if matches(f"Update:{verb}", each["Action"]) and matches(f"LogicalResourceId/{name}", each["Resource"]):
            effects.append(each["Effect"])
            if effects[-1] == "Deny":
                scope = f"Statement [#{number}] does not allow [Update:{verb}] for resource [LogicalResourceId/{name}];"
                raise ValidationError(message=f"Action denied by stack policy: {scope}")
    if statements and not effects:
        raise ValidationError(message=f"Action not allowed by stack policy: no statement allows [Update:{verb}]")


def matches(text: str, patterns: str | list[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in ([patterns] if isinstance(patterns, str) else patterns))


class Operation:
    """From what a stack has to what a template says."""

    def __init__(self, stack: models.Stack, text: str, parameters: Any) -> None:
        self.stack, self.text, self.parameters = stack, text, parameters
        self.template = stack.parse_template(text)
        self.map = parsing.ResourceMap(
            stack.stack_id, stack.name, parameters, stack.tags, stack.region_name, stack.account_id, self.template,
            stack.cross_stack_resources,
        )  # fmt: skip
        self.map.load()  # reads SSM parameters again
        resources, conditions = self.template["Resources"], self.map.lazy_condition_map
        self.definitions = {
            name: each for name, each in resources.items() if "Condition" not in each or conditions[each["Condition"]]
        }
        self.created: list[str] = []
        self.replaced: dict[str, Made] = {}
        self.made = made_of(stack)

    def content(self) -> Any:
        """CloudFormation calls a change of anything else, such as the template's metadata, no change."""
        return [self.template.get(key) for key in ("Resources", "Outputs")], self.map.resolved_parameters

    def show(self) -> None:
        """What the API tells of the stack's resources: those that are there."""
        self.map._parsed_resources |= {name: each.resource for name, each in self.made.items()}
        self.map._resource_json_map = {name: each.definition for name, each in self.made.items()}
        self.stack.resource_map = self.map

    def step(self, verb: str, name: str, type: str, act: Callable[[], None]) -> None:
        """One resource, with the events and the watches before and after."""
        event(self.stack, f"{verb}_IN_PROGRESS", None, name, type)
        try:
            for watch in BEFORE:
                watch(self.stack, verb, name)
            act()
            load_balancers.look(self.stack.account_id, self.stack.region_name)
            for watch in AFTER:
                watch(self.stack, verb, name)
        except Exception as error:
            event(
                self.stack, f"{verb}_FAILED", getattr(error, "message", None) or str(error) or repr(error), name, type
            )
            raise Failed(f"The following resource(s) failed to {verb.lower()}: [{name}]. ") from error
        event(self.stack, f"{verb}_COMPLETE", None, name, type)

    def apply(self, *, guarded: bool) -> None:
        """Create, replace and update; `guarded` by the stack policy."""
        self.map._resource_json_map = {}  # a Ref to what is not there yet is an error, and makes nothing
        for name in self.made.keys() - self.definitions.keys() if guarded and self.stack.policy else ():
            self.step(
                "UPDATE", name, self.made[name].definition["Type"], partial(check_policy, self.stack, "Delete", name)
            )
        needs = {
            name: {*references(each.get("Properties", {})), *depends_on(each)}
            for name, each in self.definitions.items()
        }
        for name in in_order(needs, self.text, self.is_unchanged):
            old, wanted = self.made.get(name), self.wanted(name)
            if old and self.is_unchanged(name):
                old.definition, old.needs = wanted, needs[name]  # with other policies and metadata
            else:
                put = partial(self.put, name, old, wanted, needs[name], guarded)
                self.step("UPDATE" if old else "CREATE", name, wanted["Type"], put)
            self.map._parsed_resources[name] = self.made[name].resource
        self.show()

    def wanted(self, name: str) -> Document:
        return {"Properties": {}, **parsing.clean_json(self.definitions[name], self.map)}

    def is_unchanged(self, name: str) -> bool:
        return name in self.made and self.made[name].definition["Properties"] == self.wanted(name)["Properties"]

    def put(self, name: str, old: Made | None, wanted: Document, needs: set[str], guarded: bool) -> None:
        """Makes what is not there or cannot be updated in place. The old resource stays until the cleanup."""
        account, region, type = self.stack.account_id, self.stack.region_name, wanted["Type"]
        if old:
            before, after = old.definition["Properties"], wanted["Properties"]
            replaces = needs_replacement(type, before, after)
            if guarded:
                check_policy(self.stack, "Replace" if replaces else "Modify", name)
            if not replaces:
                old.resource = bindings.update(type, old.resource, before, after, account, region)
                old.definition, old.needs = wanted, needs
                return
            if identifies(type, before, after):
                # docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-name.html
                rule = "CloudFormation cannot update a stack when a custom-named resource requires replacing."
                message = f"{rule} Rename {old.resource.physical_resource_id} and update the stack again."
                raise ValidationError(message=message)
        resource = parsing.parse_and_create_resource(name, {**self.definitions[name]}, self.map, account, region)
        if isinstance(resource, TaggedEC2Resource):
            own = {"stack-name": self.stack.name, "stack-id": self.stack.stack_id, "logical-id": name}
            tags = self.stack.tags | {f"aws:cloudformation:{key}": value for key, value in own.items()}
            ec2_backends[account][region].create_tags([resource.physical_resource_id], tags)
        self.made[name] = Made(resource, wanted, needs)
        if old:
            self.replaced[name] = old
        else:
            self.created.append(name)

    def delete(self, retired: dict[str, Made], stay: set[str], attempts: int) -> list[str]:
        """Backwards along the dependencies. Gives what could not be deleted: after that, one `attempt` stops."""
        left = list[str]()
        for name in [*in_order({name: each.needs for name, each in retired.items()}, self.text)][::-1]:
            each, type = retired[name], retired[name].definition["Type"]
            if name in stay:
                event(self.stack, "DELETE_SKIPPED", None, name, type)
                continue

            act = partial(
                bindings.delete, type, each.resource, each.definition, self.stack.account_id, self.stack.region_name
            )

            for attempt in range(attempts):
                with suppress(Failed):
                    self.step("DELETE", name, type, act)
                    break
                left += [name] * (attempt + 1 == attempts)
            if left and attempts == 1:
                return left
            if self.made.get(name) is each:
                del self.made[name]
                self.show()
        return left


def retained(
    names: Iterable[str], definitions: Mapping[str, Document], kind: str, ends_create: bool = False
) -> set[str]:
    """Those that stay. RetainExceptOnCreate does not retain what the failed operation itself made."""
    found = {name: definitions[name].get(kind, "Delete") for name in names}
    if unknown := {*found.values()} - {"Delete", "Retain", "RetainExceptOnCreate"}:
        raise ValidationError(message=f"the rehearsal has no {kind} {unknown}")
    return {name for name, each in found.items() if each == "Retain" or (each != "Delete" and not ends_create)}


def depends_on(definition: Document) -> list[str]:
    named = definition.get("DependsOn", [])
    return [named] if isinstance(named, str) else named


def create(stack: models.Stack, text: str, parameters: Any) -> None:
    goal = begin(stack, text, parameters, "CREATE")
    stack.__dict__["goal"] = goal
    with load_balancers.operation(stack.account_id, stack.region_name):
        try:
            goal.apply(guarded=False)
            finish(goal, "CREATE_COMPLETE")
        except Exception as error:
            event(stack, "ROLLBACK_IN_PROGRESS", error)
            delete(goal, "ROLLBACK", ends_create=True)


def delete(goal: Operation, kind: str, *, ends_create: bool = False) -> bool:
    """CloudFormation keeps a stack whose deletion fails."""
    stack, definitions = goal.stack, {name: each.definition for name, each in goal.made.items()}
    stack.output_map = parsing.OutputMap(goal.map, {}, stack.stack_id)
    left = goal.delete(dict(goal.made), retained(definitions, definitions, "DeletionPolicy", ends_create), attempts=1)
    goal.show()  # what stays is still listed, as DELETE_SKIPPED
    event(stack, f"{kind}_FAILED" if left else f"{kind}_COMPLETE", left and f"could not delete {left}")
    return not left


def update(stack: models.Stack, text: str, parameters: Any) -> None:
    """docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html"""
    before: Operation = stack.__dict__["goal"]
    goal = begin(stack, text, parameters, "UPDATE")
    with load_balancers.operation(stack.account_id, stack.region_name):
        try:
            goal.apply(guarded=True)
            finish(goal, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        except Exception as error:
            event(stack, "UPDATE_ROLLBACK_IN_PROGRESS", error)
            roll_back(goal, before)
            return
        removed = {name: goal.made.pop(name) for name in [*goal.made] if name not in goal.definitions}
        goal.show()
        old = {name: each.definition for name, each in removed.items()}
        stay = retained(removed, old, "DeletionPolicy") | retained(
            goal.replaced, goal.definitions, "UpdateReplacePolicy"
        )
        goal.delete(removed | goal.replaced, stay, attempts=3)
        event(stack, "UPDATE_COMPLETE")


def roll_back(goal: Operation, before: Operation) -> None:
    """Back to the resources and the template of before; what is new goes last."""
    stack, made = goal.stack, goal.made
    new = {name: made[name] for name in (*goal.replaced, *goal.created)}
    for name in goal.created:
        del made[name]
    made |= goal.replaced
    back = Operation(stack, before.text, before.parameters)
    try:
        back.apply(guarded=False)
    except Exception as error:
        back.show()
        event(stack, "UPDATE_ROLLBACK_FAILED", error)
        return
    finish(back, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
    back.delete(new, retained(new, goal.definitions, "DeletionPolicy", True), attempts=3)
    event(stack, "UPDATE_ROLLBACK_COMPLETE")


def begin(stack: models.Stack, text: str, parameters: Any, kind: str) -> Operation:
    goal = Operation(stack, text, parameters)
    event(stack, f"{kind}_IN_PROGRESS", "User Initiated")
    return goal


def finish(goal: Operation, status: str) -> None:
    """From now on this is the stack: template, parameters, outputs."""
    stack = goal.stack
    stack.template, stack.parameters, stack.template_dict = goal.text, goal.parameters, goal.template
    stack.description = goal.template.get("Description")
    goal.show()
    stack.output_map = parsing.OutputMap(goal.map, goal.template, stack.stack_id)
    list(stack.output_map.values())  # an output that cannot be read fails the operation
    stack.__dict__["goal"] = goal
    event(stack, status)
