"""Prints the routes of the registry, and the room that is left: python -m infra.routes REGISTRY."""

import sys
from pathlib import Path

from common.settings import SettingsError
from infra.registry import MAX_ROUTES, MAX_SERVICES, Registry, load_registry

FIRST_PORT = 8081


def table(registry: Registry) -> list[str]:
    """A line for each route, in columns."""
    rows = [("route", "service", "port", "callers", "requests/s", "at once")]
    for name, service in sorted(registry.services.items()):
        for route in service.routes:
            throttle = route.throttle or registry.api.throttle
            token = " or ".join(route.scopes) or "any token"
            callers = token if route.auth == "jwt" else "everybody"
            rows.append((route.key, name, str(service.listener_port), callers, f"{throttle.rate:g}", str(throttle.burst)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def room(registry: Registry) -> str:
    services = registry.services.values()
    port = max([FIRST_PORT - 1, *(service.listener_port for service in services)]) + 1
    return (
        f"next listener_port: {port}, unless a deleted service had it; "
        f"room for {MAX_SERVICES - len(services)} more services and {MAX_ROUTES - len(registry.routes)} more routes"
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
