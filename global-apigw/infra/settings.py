"""Twin: the same file in every folder, so that each deploys alone; tests/test_twins.py holds the copies equal.

Turns the environment, given as a mapping, into one frozen object. Only app.py and guard.py read os.environ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

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


@dataclass(frozen=True)
class Setting:
    """What a variable must look like: `pattern` matches the whole value; no `default` means required."""

    pattern: str
    example: str
    default: str | None = None


@dataclass(frozen=True)
class Settings:
    """`zone_ids` are two availability zone ids; `values` are the folder's own variables by name.

    `alarm_topic_arn` is the SNS topic that alarms are sent to, empty for none.
    """

    account: str
    region: str
    zone_ids: tuple[str, str]
    alarm_topic_arn: str
    values: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.values[name]


COMMON = {
    "AWS_ACCOUNT": Setting(r"\d{12}", "222222222222"),
    "AWS_REGION": Setting(r"[a-z]{2}(-[a-z]+)+-\d", "us-west-2"),
    "AZ_IDS": Setting(f"({ZONE_IDS_PATTERN})?", "usw2-az1,usw2-az2", default=""),
    "ALARM_TOPIC_ARN": Setting(
        r"(arn:aws:sns:[a-z0-9-]+:\d{12}:[\w-]+)?", "arn:aws:sns:us-west-2:222222222222:alarms", default=""
    ),
}


def load_settings(environ: Mapping[str, str], **own: Setting) -> Settings:
    """Read the common variables and the folder's `own`; an empty variable counts as missing."""
    problems, values = [], {}
    for name, setting in {**COMMON, **own}.items():
        value = environ.get(name) or setting.default
        if value is None:
            problems.append(f"{name} is missing, for example {name}={setting.example}")
        elif not re.fullmatch(setting.pattern, value):
            problems.append(f"{name} is {value!r}, expected something like {setting.example}")
        else:
            values[name] = value
    region = values.get("AWS_REGION", "")
    zone_ids, wrong = _zones(region, values.pop("AZ_IDS", ""))
    problems += wrong
    topic_region = values.get("ALARM_TOPIC_ARN", "").split(":")[3:4]
    if region and topic_region and topic_region != [region]:
        problems.append(f"ALARM_TOPIC_ARN is a topic in {topic_region[0]}, AWS_REGION is {region}: CloudWatch sends alarms "
                        f"only to topics of their own region; name a topic in {region}")  # fmt: skip
    if problems:
        raise SettingsError("\n".join(f"error: {problem}" for problem in problems))
    return Settings(
        account=values.pop("AWS_ACCOUNT"),
        region=values.pop("AWS_REGION"),
        zone_ids=zone_ids,
        alarm_topic_arn=values.pop("ALARM_TOPIC_ARN"),
        values=MappingProxyType(values),
    )


def _zones(region: str, chosen: str) -> tuple[tuple[str, str], list[str]]:
    """The two zone ids, and what is wrong with them."""
    problems = []
    first, _, second = chosen.partition(",")
    if region and not chosen and region not in ZONE_IDS:
        problems.append(f"AZ_IDS is missing: no zones are known for {region}; choose two of `aws ec2 "
                        "describe-availability-zones` (ZoneId), the same in every account, for example "
                        f"AZ_IDS={COMMON['AZ_IDS'].example}")  # fmt: skip
    if chosen and first == second:
        problems.append(f"AZ_IDS names {first} twice, expected two different zones")
    zones = (first, second) if chosen else ZONE_IDS.get(region, ("", ""))
    if unlinked := [zone for zone in zones if zone in ZONES_WITHOUT_VPC_LINKS]:
        problems.append(f"no HTTP API can reach zone {' or '.join(unlinked)}, which has no VPC links, and all three folders "
                        "use the same zones; choose two others of the region: AZ_IDS=<id>,<id>")  # fmt: skip
    return zones, problems
