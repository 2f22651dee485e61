"""The registry: services.toml, read and validated into frozen objects. Run as a module, it prints the JSON Schema."""

import json
import re
import tomllib
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from common.settings import ACM, REGION, SettingsError
from infra.conflicts import conflicts, path_in
from infra.truststore import TRUSTSTORE, check_truststore

# Quotas of an HTTP API: docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
MAX_TIMEOUT = 30  # seconds
MAX_SCOPES = 10
# An NLB has 50 listeners: docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-limits.html
# A VPC has 50 interface endpoints: docs.aws.amazon.com/vpc/latest/privatelink/vpc-limits-endpoints.html
# So 50 services have at most 100 integrations of 300, 100 targets of 500 for each zone, and rules for 50 ports of 60 a group.
MAX_SERVICES = 50
# docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
MAX_RESOURCES = 500
# The resources of a stack without services; those of an endpoint, its lookup, its listener and its target group; the rules
# of an endpoint port; the services that share an alarm; the resources of a domain, and as many of its hosted zone.
OWN, OF_SERVICE, OF_PORT, OF_ALARM, OF_DOMAIN = 37, 4, 2, 10, 2
# A name is the id of a construct. The ids of all other constructs have a capital letter, and every JavaScript object
# has a "constructor". Compiled, because pydantic's own engine has no look-ahead; `$` alone admits a newline at the end.
NAME = re.compile(r"^(?!constructor$)[a-z][a-z0-9-]{0,29}$(?!\n)")
ROUTE_KEY = r"^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/([\w.~-]+|\{\w+\}))+$"
OBJECTIVE = "the percentage of answers in a month that are not 5xx, above 0 and below 100"
DOMAIN = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
THROTTLE = "{ rate = <requests per second>, burst = <requests> }"

Port = Annotated[int, Field(gt=0, lt=65536)]
Objective = Annotated[float, Field(gt=0, lt=100)]
Strings = list[Annotated[str, Field(min_length=1)]]


class Table(BaseModel):
    """A TOML table. The description of a key is the expected value, in the schema and in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Throttle(Table):
    """A token bucket: `rate` requests a second on average, `burst` at once."""

    rate: float = Field(gt=0, description="requests per second above 0")
    burst: int = Field(gt=0, description="a number of requests above 0")


class Jwt(Table):
    """Whose tokens are accepted, and for whom they must be meant."""

    issuer: str = Field(pattern="^https://", description="an https:// URL")
    audience: Strings = Field(
        min_length=1, description="at least one; without an audience any token of the issuer passes"
    )


class Domain(Table):
    """The API's own name. With a `hosted_zone` the deploy makes its records, else it prints the record to create."""

    name: str = Field(pattern=DOMAIN, max_length=253, description='a name in lower case such as "api.example.com"')
    certificate: str = Field(pattern=f"^{ACM}$", description="the ARN of a certificate in ACM")
    hosted_zone: str | None = Field(
        default=None, pattern="^Z[A-Z0-9]{1,31}$", description='the id of a hosted zone such as "Z0123456789ABCDEFGHIJ"'
    )
    truststore: str | None = Field(default=None, pattern=r"^[\w.-]+\.pem$", description=TRUSTSTORE)

    @field_validator("truststore")
    @classmethod
    def _usable(cls, path: str, info: ValidationInfo) -> str:
        """The file itself."""
        file = Path(info.context or "", path)
        check_truststore(file)
        return str(file)


class Api(Table):
    """The API; its `throttle` is that of the routes that name none, its `objective` that of such services."""

    throttle: Throttle = Field(description=THROTTLE)
    jwt: Jwt | None = Field(default=None, description="a table with issuer and audience")
    cors_origins: Strings = Field(default=[], description='a list of origins such as "https://app.example.com"')
    objective: Objective = Field(default=99.9, description=OBJECTIVE)
    domain: Domain | None = Field(default=None, description="a table with name and certificate")
    default_endpoint: bool = Field(default=True, description="false to turn the generated address off, or true")


class Route(Table):
    """A route without a `throttle` has the API's. A token needs one of the `scopes`."""

    key: str = Field(pattern=ROUTE_KEY, description='"METHOD /path", such as "GET /dogs"')
    throttle: Throttle | None = Field(default=None, description=THROTTLE)
    auth: Literal["none", "jwt"] = Field(default="none", description="one of none, jwt")
    scopes: Strings = Field(default=[], max_length=MAX_SCOPES, description=f"at most {MAX_SCOPES} scopes")


class Tls(Table):
    """The gateway sends requests over TLS. The service has a certificate of this name, from a public authority."""

    server_name: str = Field(pattern=DOMAIN, max_length=253, description='a lower-case name such as "a.example.com"')


class Service(Table):
    """One service in another account. `endpoint_service` names the variable that holds its VPC endpoint service."""

    endpoint_service: str = Field(pattern="^[A-Z][A-Z0-9_]*$", description="an environment variable's name")
    endpoint_port: Port = Field(description="a port")
    listener_port: Port = Field(description="a port that no other service has or had")
    region: str = Field(default="", pattern=f"^({REGION})?$", description="the provider's region, if it is another one")
    tls: Tls | None = Field(default=None, description="a table with server_name")
    health_path: str = Field(pattern=r"^/[\w./~-]*$", description="a path")
    timeout_seconds: int = Field(gt=0, le=MAX_TIMEOUT, description=f"1 to {MAX_TIMEOUT}, more than the service takes")
    objective: Objective | None = Field(default=None, description=OBJECTIVE)
    routes: list[Route] = Field(description="a list of routes")


class Registry(Table):
    """The API, and the services behind it by name."""

    api: Api = Field(description="a table with throttle")
    services: dict[Annotated[str, Field(pattern=NAME)], Service] = Field(
        min_length=1,
        max_length=MAX_SERVICES,
        description=f"1 to {MAX_SERVICES} [services.<name>] entries, for which the shared load balancer has listeners",
        json_schema_extra={"additionalProperties": False},
    )

    @property
    def routes(self) -> list[Route]:
        """The routes of all services, in order of their keys."""
        routes = [route for service in self.services.values() for route in service.routes]
        return sorted(routes, key=lambda route: route.key)

    @property
    def resources(self) -> int:
        """The number of resources in the stack."""
        services = self.services.values()
        integrations = sum(len({route.auth for route in service.routes}) for service in services)
        ports = len({service.endpoint_port for service in services})
        domain = self.api.domain
        named = OF_DOMAIN * bool(domain) + OF_DOMAIN * bool(domain and domain.hosted_zone)
        shared = OWN + OF_PORT * ports + ceil(len(services) / OF_ALARM) + (self.api.jwt is not None) + named
        return shared + OF_SERVICE * len(services) + integrations + len(self.routes)


EXPECTED = {name: key.description for table in Table.__subclasses__() for name, key in table.model_fields.items()}
# pydantic's own name for a key of `services`.
EXPECTED["[key]"] = "a name of up to 30 lower-case letters, digits and hyphens, and not 'constructor'"
SENTENCES = {
    "extra_forbidden": "{path} is not a known key",
    "missing": "{path} is missing, expected {expected}",
    "too_long": "{path} has {count} entries, expected {expected}",
}


def load_registry(path: Path) -> Registry:
    """Read and validate the registry; SettingsError lists all its mistakes, each with entry and key."""
    if not path.is_file():
        raise SettingsError([f"SERVICES is {str(path)!r}, expected the path of a registry such as services.toml"])
    try:
        document = tomllib.loads(path.read_text())
    except ValueError as error:  # not UTF-8, or not TOML
        raise SettingsError([f"{path} is not TOML: {error}"]) from None
    problems = list(conflicts(document))
    try:
        registry = Registry.model_validate(document, context=path.parent)
    except ValidationError as errors:
        problems = [_problem(document, error) for error in errors.errors()] + problems
    if problems:
        raise SettingsError([f"{path} has mistakes", *problems])
    if (count := registry.resources) > MAX_RESOURCES:
        routes = f"{len(registry.services)} services with {len(registry.routes)} routes"
        raise SettingsError(
            [f"{path} has {routes}, which are {count} resources, expected at most {MAX_RESOURCES} in a stack"]
        )
    return registry


def _problem(document: Any, error: ErrorDetails) -> str:
    """An error of pydantic in the words of the registry."""
    loc, value = error["loc"], error["input"]
    path = path_in([part for part in loc if part != "[key]"], document)
    expected = next((EXPECTED[part] for part in reversed(loc) if part in EXPECTED), None)
    expected = error.get("ctx", {}).get("error", expected)  # a validator's own
    count = len(value) if isinstance(value, list | dict) else None
    sentence = SENTENCES.get(error["type"], "{path} is {value!r}, expected {expected}")
    return sentence.format(path=path, value=value, count=count, expected=expected)


if __name__ == "__main__":
    print(json.dumps(Registry.model_json_schema(), indent=2))
