"""Prints the routes of the registry, and the room that is left: python -m infra.routes REGISTRY."""

import sys
from pathlib import Path

from common.settings import SettingsError
from infra.conflicts import MAX_ROUTES
from infra.registry import MAX_RESOURCES, MAX_SERVICES, OF_ALARM, OF_SERVICE, Registry, load_registry

FIRST_PORT = 8081


def table(registry: Registry) -> list[str]:
    """A line for each route, in columns."""
    rows = [("route", "service", "port", "callers", "requests/s", "at once")]
    for name, service in sorted(registry.services.items()):
        for route in service.routes:
            throttle = route.throttle or registry.api.throttle
            token = " or ".join(route.scopes) or "any token"
            callers = token if route.auth == "jwt" else "everybody"
            rows.append(
                (route.key, name, str(service.listener_port), callers, f"{throttle.rate:g}", str(throttle.burst))
            )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def room(registry: Registry) -> str:
    services = registry.services.values()
    port = max([FIRST_PORT - 1, *(service.listener_port for service in services)]) + 1
    left = MAX_RESOURCES - registry.resources
    # A further service has a route, an integration and, for each ten of them, an alarm.
    more = min(MAX_SERVICES - len(services), int(left / (OF_SERVICE + 2 + 1 / OF_ALARM)))
    return (
        f"next listener_port: {port}, unless a deleted service had it\n"
        f"{registry.resources} of {MAX_RESOURCES} resources, {len(registry.routes)} of {MAX_ROUTES} routes: "
        f"room for {more} more services with a route each on a known endpoint port"
    )


def main() -> None:
    try:
        registry = load_registry(Path(sys.argv[1]))
    except SettingsError as problems:
        print(problems, file=sys.stderr)
        sys.exit(2)
    print("\n".join([*table(registry), "", room(registry)]))


if __name__ == "__main__":
    main()
