"""Settings: the environment, given as a mapping, as one typed object. Only common/app.py and preflight.py read os.environ."""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, Self

ZONES: dict[str, Any] = tomllib.loads(Path(__file__).with_name("zones.toml").read_text())
SHARED: dict[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
REGION, ACM = SHARED["AWS_REGION"]["pattern"], SHARED["CERTIFICATE_ARN"]["pattern"]
Convert = Callable[[str], Any]


class SettingsError(Exception):
    """All missing or malformed settings, one a line, each with an example."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(f"error: {problem}" for problem in problems))


class Variable(NamedTuple):
    """An environment variable, as settings.toml explains; `convert` turns its value into that of a field."""

    name: str
    pattern: str
    example: str
    default: str | None = None
    convert: Convert = str
    without: str = ""
    stays: bool = False


def split(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def variable(name: str, pattern: str = "", example: str = "", **more: Any) -> Any:
    """A field of Settings that a variable holds, one of settings.toml or one with a `pattern` and an `example`."""
    known = SHARED.get(name) or {"pattern": pattern, "example": example}
    return field(metadata={"variable": Variable(name, **known, **more)})


def switch(name: str, without: str = "") -> Any:
    """A field of Settings that is true when the variable is 1."""
    return variable(name, "1", "1", default="", convert=bool, without=without)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of every folder; a folder's own class adds its fields and the name of its `stack`.

    `zone_ids` are two availability zone ids. `alarm_topic_arn` is the SNS topic that gets the alarms, empty for none.
    """

    stack: str = ""
    account: str = variable("AWS_ACCOUNT")
    region: str = variable("AWS_REGION")
    zone_ids: tuple[str, ...] = variable("AZ_IDS", convert=split)
    alarm_topic_arn: str = variable("ALARM_TOPIC_ARN")

    @classmethod
    def read(cls, environ: Mapping[str, str], *unknown: str, **more: Any) -> Self:
        """SettingsError lists everything that is missing or malformed; an empty variable counts as missing.

        A folder may ignore the variables `unknown`, whose values a later deploy yields. `more` are fields without a variable.
        """
        values, problems = cls.read_fields(environ)
        if problems:
            raise SettingsError(problems)
        return cls(**values, **more)

    @classmethod
    def read_fields(cls, environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
        """The values of the fields, and the problems."""
        values, problems = read_variables(environ, cls.variables())
        if region := values.get("region"):
            values["zone_ids"] = values.get("zone_ids") or tuple(ZONES["regions"].get(region, ()))
            problems += _region_problems(region, values["zone_ids"], values.get("alarm_topic_arn", ""))
        if values.get("supported_regions"):
            problems += cross_region_problems(values["zone_ids"])
        return values, problems

    @classmethod
    def variables(cls) -> dict[str, Variable]:
        """The variables by the names of the fields."""
        return {each.name: each.metadata["variable"] for each in fields(cls) if "variable" in each.metadata}

    @property
    def remembered(self) -> dict[str, str]:
        """The optional variables that are not at their defaults, as texts. The template carries them to the next deploy."""
        known = {"AZ_IDS": ",".join(ZONES["regions"].get(self.region, ()))}
        texts = {own.name: (own.default, _text(getattr(self, key))) for key, own in self.variables().items()}
        return {name: text for name, (default, text) in texts.items() if text != known.get(name, default) is not None}

    @property
    def contract(self) -> Path:
        """What the folder offers to its callers."""
        return Path(__file__).resolve().parent.parent / "openapi.yaml"


def _text(value: Any) -> str:
    """What `convert` made the value of."""
    return ",".join(value) if isinstance(value, tuple) else "1" * value if isinstance(value, bool) else str(value)


def read_variables(environ: Mapping[str, str], variables: Mapping[str, Variable]) -> tuple[dict[str, Any], list[str]]:
    """The value of each variable by the keys of `variables`, and the problems."""
    values, problems = {}, []
    for key, (name, pattern, example, default, convert, *_) in variables.items():
        value = environ.get(name) or default
        if value is None:
            problems.append(f"{name} is missing, for example {name}={example}")
        elif value and not re.fullmatch(pattern, value):
            problems.append(f"{name} is {value!r}, expected something like {example}")
        else:
            values[key] = convert(value)
    return values, problems


def cross_region_problems(zones: Iterable[str]) -> Iterator[str]:
    """The problems of a stack that is connected with another region."""
    if closed := [zone for zone in zones if zone in ZONES["without_cross_region"]]:
        yield (f"PrivateLink connects no other region to zone {' or '.join(closed)}; choose two others of the region: "
               "AZ_IDS=<id>,<id>")  # fmt: skip


def _region_problems(region: str, zones: tuple[str, ...], topic: str) -> Iterator[str]:
    """The problems of settings that belong to a region."""
    if not zones:
        yield (f"AZ_IDS is missing: no zones are known for {region}; choose two of `aws ec2 describe-availability-zones` "
               "(ZoneId), the same in every account, for example AZ_IDS=usw2-az1,usw2-az2")  # fmt: skip
    if len({*zones}) == 1:
        yield f"AZ_IDS names {zones[0]} twice, expected two different zones"
    if unlinked := [zone for zone in zones if zone in ZONES["without_vpc_links"]]:
        yield (f"no HTTP API can reach zone {' or '.join(unlinked)}, which has no VPC links, and all three folders use the "
               "same zones; choose two others of the region: AZ_IDS=<id>,<id>")  # fmt: skip
    if topic and (other := topic.split(":")[3]) != region:
        yield (f"ALARM_TOPIC_ARN is a topic in {other}, AWS_REGION is {region}: CloudWatch sends alarms only to topics of "
               f"their own region; name a topic in {region}")  # fmt: skip
