"""Settings: the environment, given as a mapping, as one typed object. Only app.py and preflight.py read os.environ."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Self

# Zones by id, because names differ between accounts.
ZONE_IDS = {
    "ap-northeast-1": ("apne1-az1", "apne1-az2"),
    "ap-northeast-2": ("apne2-az1", "apne2-az2"),
    "ap-south-1": ("aps1-az1", "aps1-az2"),
    "ap-southeast-1": ("apse1-az1", "apse1-az2"),
    "ap-southeast-2": ("apse2-az1", "apse2-az2"),
    "ca-central-1": ("cac1-az1", "cac1-az2"),
    "eu-central-1": ("euc1-az1", "euc1-az2"),
    "eu-north-1": ("eun1-az1", "eun1-az2"),
    "eu-west-1": ("euw1-az1", "euw1-az2"),
    "eu-west-2": ("euw2-az1", "euw2-az2"),
    "eu-west-3": ("euw3-az1", "euw3-az3"),
    "sa-east-1": ("sae1-az1", "sae1-az3"),
    "us-east-1": ("use1-az1", "use1-az2"),
    "us-east-2": ("use2-az1", "use2-az2"),
    "us-west-1": ("usw1-az1", "usw1-az3"),
    "us-west-2": ("usw2-az1", "usw2-az2"),
}
# An HTTP API has no VPC link in these, and all three folders share their zones. Source: the zones that are missing in
# the table of docs.aws.amazon.com/apigateway/latest/developerguide/http-api-vpc-links.html, for the regions that it has.
ZONES_WITHOUT_VPC_LINKS = frozenset(
    ("ape1-az1", "apne1-az3", "apne2-az4", "cac1-az4", "euw3-az2", "use1-az3", "usw1-az2")
)
ZONE_IDS_PATTERN = r"[a-z]+\d-az\d+,[a-z]+\d-az\d+"


class SettingsError(Exception):
    """Every missing or malformed setting, one a line, each with an example."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(f"error: {problem}" for problem in problems))


class Variable(NamedTuple):
    """An environment variable: `pattern` matches the whole value; a variable without a `default` is required."""

    name: str
    pattern: str
    example: str
    default: str | None = None


# What a provider admits to its endpoint service; the gateway has no such variable.
PRINCIPAL = Variable(
    "API_GATEWAY_ACCOUNT_ARN", r"arn:aws:iam::\d{12}:(root|(role|user)/.+)", "arn:aws:iam::111111111111:root"
)


def variable(name: str, pattern: str, example: str, default: str | None = None) -> Any:
    """A field of Settings that a variable holds."""
    return field(metadata={"variable": Variable(name, pattern, example, default)})


def switch(name: str) -> Any:
    """A field of Settings that is true when the variable is 1."""
    return field(metadata={"variable": Variable(name, "1?", "1", default=""), "is_switch": True})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of every folder; a folder's own class adds its fields and the name of its `stack`.

    `zone_ids` are two availability zone ids. `alarm_topic_arn` is the SNS topic that gets the alarms, empty for none.
    """

    stack: str
    account: str = variable("AWS_ACCOUNT", r"\d{12}", "222222222222")
    region: str = variable("AWS_REGION", r"[a-z]{2}(-[a-z]+)+-\d", "us-west-2")
    zone_ids: tuple[str, str] = variable("AZ_IDS", f"({ZONE_IDS_PATTERN})?", "usw2-az1,usw2-az2", default="")
    alarm_topic_arn: str = variable(
        "ALARM_TOPIC_ARN",
        r"(arn:aws:sns:[a-z0-9-]+:\d{12}:[\w-]+)?",
        "arn:aws:sns:us-west-2:222222222222:alarms",
        default="",
    )

    @classmethod
    def read(cls, environ: Mapping[str, str], **more: Any) -> Self:
        """SettingsError lists everything that is missing or malformed; an empty variable counts as missing."""
        values, problems = cls.read_fields(environ)
        if problems:
            raise SettingsError(problems)
        return cls(**values, **more)

    @classmethod
    def variables(cls) -> dict[str, Variable]:
        """The variables by the name of their field."""
        return {each.name: each.metadata["variable"] for each in fields(cls) if "variable" in each.metadata}

    @classmethod
    def read_fields(cls, environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
        """The values of the fields, and the problems."""
        values, problems = read_variables(environ, cls.variables())
        switches = {each.name for each in fields(cls) if "is_switch" in each.metadata}
        zone_ids, wrong = _zone_ids(values.get("region", ""), values.get("zone_ids", ""))
        topic_region = values.get("alarm_topic_arn", "").split(":")[3:4]
        if "region" in values and topic_region and topic_region != [values["region"]]:
            wrong.append(f"ALARM_TOPIC_ARN is a topic in {topic_region[0]}, AWS_REGION is {values['region']}: CloudWatch sends "
                         f"alarms only to topics of their own region; name a topic in {values['region']}")  # fmt: skip
        typed = {name: value == "1" if name in switches else value for name, value in values.items()}
        return {**typed, "zone_ids": zone_ids}, problems + wrong


def read_variables(environ: Mapping[str, str], variables: Mapping[str, Variable]) -> tuple[dict[str, str], list[str]]:
    """The value of each variable by the keys of `variables`, and the problems."""
    values, problems = {}, []
    for key, (name, pattern, example, default) in variables.items():
        value = environ.get(name) or default
        if value is None:
            problems.append(f"{name} is missing, for example {name}={example}")
        elif not re.fullmatch(pattern, value):
            problems.append(f"{name} is {value!r}, expected something like {example}")
        else:
            values[key] = value
    return values, problems


def _zone_ids(region: str, chosen: str) -> tuple[tuple[str, str], list[str]]:
    """The two zone ids, and what is wrong with them."""
    problems = []
    first, _, second = chosen.partition(",")
    if region and not chosen and region not in ZONE_IDS:
        problems.append(f"AZ_IDS is missing: no zones are known for {region}; choose two of `aws ec2 "
                        "describe-availability-zones` (ZoneId), the same in every account, for example "
                        "AZ_IDS=usw2-az1,usw2-az2")  # fmt: skip
    if chosen and first == second:
        problems.append(f"AZ_IDS names {first} twice, expected two different zones")
    zones = (first, second) if chosen else ZONE_IDS.get(region, ("", ""))
    if unlinked := [zone for zone in zones if zone in ZONES_WITHOUT_VPC_LINKS]:
        problems.append(f"no HTTP API can reach zone {' or '.join(unlinked)}, which has no VPC links, and all three folders "
                        "use the same zones; choose two others of the region: AZ_IDS=<id>,<id>")  # fmt: skip
    return zones, problems
