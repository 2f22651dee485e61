"""Reads an account's answers, and the stacks in it. It changes nothing: the calls are Describe, Get, List and Filter.

The codes and states that AWS answers with are those of botocore's service models, which are AWS's own; for EC2, whose model has no
codes: docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

from collections.abc import Iterator
from contextlib import suppress
from functools import cache, cached_property, partial
from itertools import product
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

Answer = dict[str, Any]
# Parts of the codes that say that there is no such thing. InvalidServiceName is that of an endpoint service, NoSuchEntity IAM's.
MISSING = ("NotFound", "InvalidServiceName", "NoSuchEntity")


class UnseenError(Exception):
    """What these credentials may not read, or what AWS did not answer."""


class Account:
    """Asks for each answer once."""

    def __init__(self, session: boto3.Session, region: str) -> None:
        self.client = cache(partial(session.client, region_name=region))  # a client takes long to make
        self.known: dict[str, Answer] = {}
        self.id: str = self.one("sts.get_caller_identity")["Account"]

    def one(self, call: str, **arguments: Any) -> Answer:
        """The answer, of all pages; empty if AWS has no such thing."""
        key = f"{call} {arguments}"
        if key not in self.known:
            self.known[key] = self._call(call, arguments)
        return self.known[key]

    def all(self, call: str, **arguments: Any) -> list[Answer]:
        """The list in the answer."""
        values = self.one(call, **arguments).values()
        return next((value for value in values if isinstance(value, list)), [])

    def first(self, call: str, **arguments: Any) -> Answer:
        """The first of the list, or an empty answer."""
        return next(iter(self.all(call, **arguments)), {})

    def _call(self, call: str, arguments: Answer) -> Answer:
        service, name = call.split(".")
        try:
            client: Any = self.client(service)
            if client.can_paginate(name):
                return dict(client.get_paginator(name).paginate(**arguments).build_full_result())
            return dict(getattr(client, name)(**arguments))
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            if any(each in code for each in MISSING):
                return {}
            # The message of EC2 goes on with a thousand encoded characters.
            raise UnseenError(f"{call} failed: {code}, {message[:150]}") from None
        except BotoCoreError as error:  # no credentials, no network
            raise UnseenError(str(error)) from None


class Stack:
    """A deployed stack: its owner, and the resources of its template with their physical ids."""

    def __init__(self, account: Account, described: Answer) -> None:
        self.account = account
        self.name: str = described["StackName"]
        self.tags: dict[str, str] = {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())}
        self.outputs = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", ())}
        self.owner = f"{self.tags.get('owner', f'the team of {self.name}')} ({account.id})"

    @cached_property
    def ids(self) -> dict[str, str]:
        listed = self.account.all("cloudformation.list_stack_resources", StackName=self.name)
        return {each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in listed}

    @cached_property
    def document(self) -> Answer:
        """The template."""
        arguments = {"StackName": self.name, "TemplateStage": "Original"}
        document: Answer = self.account.one("cloudformation.get_template", **arguments)["TemplateBody"]
        if not isinstance(document, dict):
            raise UnseenError(f"the template of {self.name} is not JSON")
        return document

    def of_type(self, type: str) -> dict[str, Answer]:
        """The properties in the template, by physical id."""
        found = self.document["Resources"].items()
        return {self.ids.get(name, ""): body.get("Properties", {}) for name, body in found if body["Type"] == type}


def stacks(account: Account) -> list[Stack]:
    gone = ("DELETE_COMPLETE", "REVIEW_IN_PROGRESS")
    found = account.all("cloudformation.describe_stacks")
    return [Stack(account, each) for each in found if each["StackStatus"] not in gone]


def all_stacks(accounts: list[Account]) -> Iterator[Stack]:
    """Of the accounts that can be read."""
    for account in accounts:
        with suppress(UnseenError):
            yield from stacks(account)


def open_accounts(session: boto3.Session, region: str, profiles: str) -> Iterator[Account]:
    """The account of the session, and those of further profiles, there and in the regions of the session's endpoint services."""
    yield (own := Account(session, region))
    regions = {region}
    with suppress(UnseenError):
        names = [each["ServiceName"].split(".") for each in own.all("ec2.describe_vpc_endpoints")]
        regions |= {name[3] for name in names if "vpce" in name}
    for profile, where in product(profiles.split(), sorted(regions)):
        try:
            yield Account(boto3.Session(profile_name=profile), where)
        except (UnseenError, BotoCoreError) as error:
            print(f"unseen  the profile {profile}: {error}")
