"""Reads an account's answers, and the stacks in it. It changes nothing: the calls are Describe, Get and List."""

from functools import cache, cached_property, partial
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tools.template import Resource, Template

Answer = dict[str, Any]
# Parts of error codes.
DENIED = ("AccessDenied", "Unauthorized", "AuthFailure", "Expired", "InvalidClientTokenId", "UnrecognizedClient")
MISSING = ("NotFound", "InvalidServiceName")


class UnseenError(Exception):
    """What these credentials may not read."""


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
            code = error.response["Error"]["Code"]
            if any(each in code for each in MISSING):
                return {}
            if not any(each in code for each in DENIED):
                raise
            raise UnseenError(f"{call} is denied ({code})") from None
        except BotoCoreError as error:  # no credentials, no network
            raise UnseenError(str(error)) from None


class Stack:
    """A deployed stack: its owner, and the resources of its template with their physical ids."""

    def __init__(self, account: Account, described: Answer) -> None:
        self.account, self.name = account, described["StackName"]
        tags = {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())}
        self.outputs = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", ())}
        self.owner = f"{tags.get('owner', f'the team of {self.name}')} ({account.id})"

    @cached_property
    def ids(self) -> dict[str, str]:
        listed = self.account.all("cloudformation.list_stack_resources", StackName=self.name)
        return {each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in listed}

    @cached_property
    def template(self) -> Template:
        arguments = {"StackName": self.name, "TemplateStage": "Original"}
        return Template(self.account.one("cloudformation.get_template", **arguments)["TemplateBody"])

    def of_type(self, type: str) -> dict[str, Resource]:
        """By physical id."""
        return {self.ids.get(each.logical_id, ""): each for each in self.template.of_type(type)}


def stacks(account: Account) -> list[Stack]:
    gone = ("DELETE_COMPLETE", "REVIEW_IN_PROGRESS")
    found = account.all("cloudformation.describe_stacks")
    return [Stack(account, each) for each in found if each["StackStatus"] not in gone]
