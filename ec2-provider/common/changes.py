"""What a deploy would change for others: the deployed template against the new one.

compare() calls nobody. A guarded change stops a deploy until somebody names it: ACCEPT=<subject>,… or REPLACE=<logical id>,…
"""

import json
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from botocore.exceptions import ClientError

from common.checks import CheckError
from common.settings import Settings

TYPES: dict[str, Any] = tomllib.loads(Path(__file__).with_name("protected.toml").read_text())
ACCEPT, REPLACE, REFUSED = "ACCEPT", "REPLACE", "REFUSED"
# Where `explain` leaves the deployed template for tools that compare the templates of all folders.
DEPLOYED = Path(".local/deployed.json")
# A stack whose first creation failed or did not start; the CDK CLI deletes it before the next one.
NOT_CREATED = ("REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED")

Document = dict[str, Any]


class Change(NamedTuple):
    """`subject` is a route, a service, a setting or a logical id; `danger` 1 is the worst.

    The variable `guard` must name the subject before a deploy goes on. A REFUSED change never passes.
    """

    danger: int
    subject: str
    what: str
    guard: str = ""


Compare = Callable[[Document, Document], list[Change]]


def compare(deployed: Document, new: Document, own: type[Settings], more: Compare | None = None) -> list[Change]:
    """All changes, the most dangerous first; `more` finds those of a folder, `own` are its settings."""
    found = [*_replaced(deployed, new), *_settings(deployed, new, own), *(more(deployed, new) if more else [])]
    return sorted(found, key=lambda change: (change.danger, change.what, change.guard, change.subject))


def _replaced(deployed: Document, new: Document) -> Iterator[Change]:
    """Protected resources that CloudFormation would replace or delete."""
    before, after = deployed["Resources"], new["Resources"]
    gone = before.keys() - after.keys()
    kept = {name for name in before.keys() & after.keys() if before[name]["Type"] in TYPES}
    replaced: dict[str, list[str]] = {}
    for _ in kept:  # a resource may be replaced because another one is
        replaced |= {name: found for name in kept if (found := _causes(before[name], after[name], replaced))}
    for name in protected(deployed):
        breaks = TYPES[before[name]["Type"]]["breaks"]
        if name in gone:
            yield Change(1, name, f"is deleted: {breaks}", REPLACE)
        elif name in replaced:
            yield Change(1, name, f"is replaced, because {', '.join(replaced[name])} changes: {breaks}", REPLACE)


def _causes(old: Document, new: Document, replaced: Mapping[str, Any]) -> list[str]:
    """The create-only properties that differ, or name a resource that is replaced."""
    before, after = old.get("Properties", {}), new.get("Properties", {})
    names = TYPES[old["Type"]]["create_only"]
    return [
        name for name in names if before.get(name) != after.get(name)
        or any(json.dumps(other) in json.dumps(after.get(name)) for other in replaced)
    ]  # fmt: skip


def protected(document: Document) -> list[str]:
    """The logical ids of what others depend on."""
    return sorted(name for name, body in document["Resources"].items() if "breaks" in TYPES.get(body["Type"], {}))


def _settings(deployed: Document, new: Document, own: type[Settings]) -> Iterator[Change]:
    before, after = (each.get("Metadata", {}).get("DeployedWith", {}) for each in (deployed, new))
    known = {each.name: each for each in own.variables().values()}
    for name in before.keys() - after.keys():
        effect = (name in known and known[name].without) or "its default comes instead"
        guard = REFUSED if name in known and known[name].stays else ACCEPT
        yield Change(3, name, f"was deployed as {before[name]} and is not set now: {effect}", guard)
    for name, value in after.items():
        if before.get(name) != value:
            yield Change(6, name, f"{before.get(name) or 'not set'} becomes {value}")


def lines(changes: Sequence[Change]) -> list[str]:
    """A line for all subjects with the same change."""
    groups = [[*group] for _, group in groupby(changes, key=lambda change: (change.danger, change.what, change.guard))]
    return [f"{', '.join(each.subject for each in group)}: {group[0].what}{_told(group)}" for group in groups]


def _told(changes: Sequence[Change]) -> str:
    """The variables that name all subjects of the changes."""
    told = [(guard, [each.subject for each in changes if each.guard == guard]) for guard in (ACCEPT, REPLACE)]
    words = [f"{guard}={shlex.quote(','.join(dict.fromkeys(subjects)))}" for guard, subjects in told if subjects]
    return f" [{' '.join(words) or 'refused'}]" if any(each.guard for each in changes) else ""


class Changes:
    """The steps of a deploy that compare templates; `environ` may have ACCEPT and REPLACE."""

    def __init__(self, environ: Mapping[str, str], more: Compare | None = None) -> None:
        self._named = {guard: [*filter(None, environ.get(guard, "").split(","))] for guard in (ACCEPT, REPLACE)}
        self._more = more

    def _compare(self, deployed: Document, settings: Settings) -> list[Change]:
        new = json.loads(Path(f"cdk.out/{settings.stack}.template.json").read_text())
        try:
            return compare(deployed, new, type(settings), self._more)
        except (LookupError, TypeError, ValueError) as error:
            raise CheckError(
                f"the deployed template of {settings.stack} has an unknown shape ({error!r}), so nobody can say what a deploy "
                "changes; look at the difference with npx cdk diff, and deploy past this check with npx cdk deploy --all"
            ) from None

    def explain(self, session: boto3.Session, settings: Settings) -> None:
        """Print what a deploy would change."""
        deployed = deployed_template(session, settings)
        DEPLOYED.parent.mkdir(exist_ok=True)
        DEPLOYED.write_text(json.dumps(deployed))
        print(f"{settings.stack}: {'what a deploy changes for others' if deployed else 'not deployed yet, all is new'}")
        for line in lines(self._compare(deployed, settings)) or ["nothing that others can see"] if deployed else []:
            print(f"  {line}")
        # Before the lines of the CDK CLI, which writes to another stream.
        print(end="", flush=True)

    def check(self, session: boto3.Session, settings: Settings) -> None:
        """Stop before a guarded change that nobody has named; else let CloudFormation replace what REPLACE names."""
        if (deployed := deployed_template(session, settings)) is None:
            # A protected stack cannot be deleted, also not by the CDK CLI that makes it anew.
            lift_termination_protection(session, settings)
            return
        guarded = [change for change in self._compare(deployed, settings) if change.guard]
        stopped = [each for each in guarded if each.subject not in self._named.get(each.guard, ())]
        for guard, names in self._named.items():
            for name in sorted({*names} - {each.subject for each in guarded if each.guard == guard}):
                print(f"{guard} names {name}, which no change of this deploy asks for")
        if stopped:
            sentences = "\n".join(f"  {line}" for line in lines(stopped))
            refused = any(each.guard == REFUSED for each in stopped)
            way = "" if refused else f"\nto go on: make deploy {_told(guarded).strip(' []')}"
            raise CheckError(f"{settings.stack} would change this, so nothing was deployed:\n{sentences}{way}")
        for line in lines(guarded):
            print(f"accepted: {line}")
        _set_policy(session, settings, {*protected(deployed)} - {*self._named[REPLACE]})


def protect(session: boto3.Session, settings: Settings) -> None:
    """After a deploy, also after one that failed: CloudFormation refuses to replace or delete what others depend on."""
    if deployed := deployed_template(session, settings):
        _set_policy(session, settings, {*protected(deployed)})


def _set_policy(session: boto3.Session, settings: Settings, ids: set[str]) -> None:
    """A stack policy is about updates, whoever makes them; it does not keep the stack from being deleted."""
    everything = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}
    deny = {"Effect": "Deny", "Action": ["Update:Replace", "Update:Delete"], "Principal": "*"}
    policy = {"Statement": [everything, *({**deny, "Resource": f"LogicalResourceId/{id}"} for id in sorted(ids))]}
    cloudformation = session.client("cloudformation", region_name=settings.region)
    cloudformation.set_stack_policy(StackName=settings.stack, StackPolicyBody=json.dumps(policy))


def lift_termination_protection(session: boto3.Session, settings: Settings) -> None:
    """Of a stack that is about to be deleted."""
    if (_find_stack(session, settings) or {}).get("EnableTerminationProtection"):
        cloudformation = session.client("cloudformation", region_name=settings.region)
        cloudformation.update_termination_protection(StackName=settings.stack, EnableTerminationProtection=False)


def deployed_template(session: boto3.Session, settings: Settings) -> Document | None:
    """None before the first creation that succeeds."""
    if (stack := _find_stack(session, settings)) is None or stack["StackStatus"] in NOT_CREATED:
        return None
    cloudformation = session.client("cloudformation", region_name=settings.region)
    # Not JSON if somebody has updated the stack without the CDK.
    return cloudformation.get_template(StackName=settings.stack, TemplateStage="Original")["TemplateBody"]


def _find_stack(session: boto3.Session, settings: Settings) -> Any:
    cloudformation = session.client("cloudformation", region_name=settings.region)
    try:
        return cloudformation.describe_stacks(StackName=settings.stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
