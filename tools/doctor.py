"""Why a route of the local run does not answer: python -m tools.doctor URL ["GET /dogs"], with global-apigw on PYTHONPATH.

It reads the local templates and asks the parts of `make local`, whose ports API_PORT, DYNAMODB_PORT and ENDPOINTS name.
"""

import json
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from common.checks import CheckError
from common.doctor import report
from common.hops import SAYS, Hop, tell
from infra.changes import Api, Route, read_api

from tools import synth
from tools.ready import address, ask

SAYS.update(tomllib.loads(Path(__file__).with_name("doctor.toml").read_text()))
DYNAMODB = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1})


def read_tags() -> dict[str, dict[str, str]]:
    """The tags of the folders' stacks, by the service that they run."""
    found = {}
    for folder in synth.FOLDERS:
        manifest = json.loads((synth.ROOT / folder / ".local/cdk.out/manifest.json").read_text())
        tags = manifest["artifacts"][folder]["properties"]["tags"]
        found[tags["service"]] = {**tags, "folder": folder}
    return found


def table_hop(owner: str, port: str) -> Hop:
    keys = {"region_name": "us-west-2", "aws_access_key_id": "local", "aws_secret_access_key": "local"}
    try:
        dynamodb = boto3.client("dynamodb", endpoint_url=f"http://127.0.0.1:{port}", config=DYNAMODB, **keys)  # type: ignore[call-overload] # the keys are strings
        tables = dynamodb.list_tables()["TableNames"]
    except BotoCoreError:
        return Hop("DynamoDB", f"no answer on port {port}", tell(True, "local dynamodb", owner, port=port))
    return Hop("table", ", ".join(tables) or "none", tell("todo" not in tables, "local table", owner, port=port))


def walk(api: Api, route: Route, port: int, environ: Mapping[str, str]) -> Iterator[Hop]:
    tags, name = read_tags(), route.service
    own, service, key = tags["global-apigw"]["owner"], api.services[name], {"key": route.key, "name": name}
    running = ask(f"{address(port)}/")
    yield Hop("API", f"port {port} answers {running or 'nothing'}", tell(not running, "local api", own, port=port))
    yield Hop("route", route.limits, tell(route.limits.startswith("0 "), "local throttled", own, **key))
    yield Hop("authorizer", f"tokens of {route.tokens}: make token" if route.tokens else "none, the route is open")
    moved = dict(each.split("=127.0.0.1:") for each in environ["ENDPOINTS"].split())
    at = int(moved.get(str(service.port), service.port))
    health = ask(f"http://127.0.0.1:{at}{service.health_path}")
    who = tags.get(name, {}).get("owner", f"the team of {name}")
    values = {"name": name, "port": at, "path": service.health_path, "status": health}
    fault = tell(health != 200, "local unhealthy" if health else "local service", who, **values)
    behind = [Hop("service", f"{name} at port {at} answers {health or 'nothing'}", fault)]
    if name in tags and "AWS::DynamoDB::Table" in str(synth.local(tags[name]["folder"])):
        behind.append(table_hop(who, environ["DYNAMODB_PORT"]))
    yield from behind
    method, path = route.key.split()
    if running and method == "GET" and "{" not in path:
        status = ask(address(port) + path)
        name = "local stale" if status == 404 else "local answer"
        fault = tell(status not in (200, 401), name, own, status=status, **key)
        yield Hop("answer", f"{status}", fault).unless(*behind)


def main(url: str, wanted: str, environ: Mapping[str, str]) -> None:
    api = read_api(synth.local("global-apigw"))
    routes = {route.key: route for route in api.routes.values() if wanted in ("", route.key)}
    if not routes:
        there = ", ".join(sorted(route.key for route in api.routes.values()))
        raise CheckError(f"ROUTE is {wanted}, expected one of the local template's routes, which are {there}")
    report({key: [*walk(api, route, urlsplit(url).port or 80, environ)] for key, route in sorted(routes.items())})


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], os.environ)
    except CheckError as problem:
        print(problem, file=sys.stderr)
        sys.exit(2)
    except ValueError as problem:
        print(f"error: URL is {sys.argv[1]}, expected http://127.0.0.1:<port>: {problem}", file=sys.stderr)
        sys.exit(2)
