"""The service's environment, read once into one frozen object."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

# Each worker process makes so many DynamoDB calls at a time, over one connection each, and works on so many requests at a
# time. With more of them, threads would only wait for Python's lock, and the slowest request would take longer. The
# request above the number of calls answers health checks while DynamoDB does not answer.
MAX_CONCURRENT_CALLS = 6
MAX_CONCURRENT_REQUESTS = MAX_CONCURRENT_CALLS + 1


class SettingsError(Exception):
    """Every missing or malformed variable, one a line, each with an example."""


def _variable(pattern: str, example: str, default: str = "") -> Any:
    """A field of Settings that the variable of its name holds; without a default, the variable is required."""
    return field(metadata={"pattern": pattern, "example": example, "default": default})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The values of the variables, as they are written there."""

    table_name: str = _variable(r"[\w.-]{3,255}", "todo")
    aws_region: str = _variable(r"[a-z]{2}(-[a-z]+)+-\d", "us-west-2")
    access_log: str = _variable("on|off", "off", default="on")
    # The load balancer reaches an instance by its address.
    host: str = _variable(r"\S+", "127.0.0.1", default="0.0.0.0")  # noqa: S104
    port: str = _variable(r"\d{1,5}", "8080", default="8080")
    drain_seconds: str = _variable(r"\d{1,3}", "100", default="100")

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Raises SettingsError."""
        values, problems = {}, []
        for each in fields(cls):
            name, rule = each.name.upper(), each.metadata
            values[each.name] = value = environ.get(name) or rule["default"]
            if not re.fullmatch(rule["pattern"], value, re.ASCII):
                problems.append(
                    f"error: {name} is {repr(value) if value else 'missing'}, for example {name}={rule['example']}"
                )
        if problems:
            raise SettingsError("\n".join(problems))
        return cls(**values)
