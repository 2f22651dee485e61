"""The service's environment, read once into one frozen object."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

# Each worker process makes so many DynamoDB calls at a time, over one connection each, and works on so many requests at a
# time. With more of them, threads would only wait for Python's lock, and the slowest request would take longer. The
# request above the number of calls answers health checks while DynamoDB does not answer.
MAX_CONCURRENT_CALLS = 6
MAX_CONCURRENT_REQUESTS = MAX_CONCURRENT_CALLS + 1

_VARIABLES = {  # name: (default, pattern, example); a variable without a default is required
    "TABLE_NAME": ("", r"[\w.-]{3,255}", "todo"),
    "AWS_REGION": ("", r"[a-z]{2}(-[a-z]+)+-\d", "us-west-2"),
    "ACCESS_LOG": ("on", r"on|off", "off"),
    "HOST": ("0.0.0.0", r"\S+", "127.0.0.1"),  # noqa: S104  the load balancer reaches an instance by its address
    "PORT": ("8080", r"\d{1,5}", "8080"),
    "DRAIN_SECONDS": ("100", r"\d{1,3}", "100"),
}


class SettingsError(Exception):
    """Every missing or malformed variable, one a line, each with an example."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The values of the variables, as they are written there."""

    table_name: str
    aws_region: str
    access_log: str
    host: str
    port: str
    drain_seconds: str

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Raises SettingsError."""
        values = {name: environ.get(name) or default for name, (default, _, _) in _VARIABLES.items()}
        problems = [
            f"error: {name} is {repr(values[name]) if values[name] else 'missing'}, for example {name}={example}"
            for name, (_, pattern, example) in _VARIABLES.items()
            if not re.fullmatch(pattern, values[name], re.ASCII)
        ]
        if problems:
            raise SettingsError("\n".join(problems))
        return cls(**{name.lower(): value for name, value in values.items()})
