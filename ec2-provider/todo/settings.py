"""The service's environment, read once into one frozen object."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

# Of one worker process: how many requests call DynamoDB at a time, each over a connection of its own, and how many are
# worked on. More would only take turns at running Python, and the slowest would get slower; the last answers in a stall.
MAX_CONCURRENT_CALLS = 6
MAX_CONCURRENT_REQUESTS = MAX_CONCURRENT_CALLS + 1

_VARIABLES = {  # name: (default, accepted, example)
    "TABLE_NAME": (None, r"[\w.-]{3,255}", "todo"),
    "AWS_REGION": (None, r"[a-z]{2}(-[a-z]+)+-\d", "us-west-2"),
    "ACCESS_LOG": ("on", r"on|off", "off"),
    "HOST": ("0.0.0.0", r"\S+", "127.0.0.1"),  # noqa: S104  an instance is reached through its load balancer
    "PORT": ("8080", r"\d{1,5}", "8080"),
    "DRAIN_SECONDS": ("100", r"\d{1,3}", "100"),
}


class SettingsError(Exception):
    """Every missing or malformed variable, one a line, each with an example."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the service may be told from outside."""

    table_name: str
    region: str
    access_log: bool
    bind: str
    drain_seconds: int

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Raises SettingsError."""
        problems, values = [], {}
        for name, (default, accepted, example) in _VARIABLES.items():
            value = environ.get(name) or default
            if value is None:
                problems.append(f"{name} is missing, for example {name}={example}")
            elif not re.fullmatch(accepted, value, re.ASCII):
                problems.append(f"{name} is {value!r}, expected something like {example}")
            else:
                values[name] = value
        if problems:
            raise SettingsError("\n".join(f"error: {problem}" for problem in problems))
        return cls(
            table_name=values["TABLE_NAME"],
            region=values["AWS_REGION"],
            access_log=values["ACCESS_LOG"] == "on",
            bind=f"{values['HOST']}:{values['PORT']}",
            drain_seconds=int(values["DRAIN_SECONDS"]),
        )
