"""Registries that are larger than ours."""

FIRST_PORT = 8081
ENTRY = """
[services.s{port}]
endpoint_service = "S{port}_SERVICE_NAME"
endpoint_port = 8080
listener_port = {port}
health_path = "/healthz"
timeout_seconds = 10
routes = [{{ key = "GET {first}" }}, {{ key = "POST /s{port}" }}, {{ key = "GET /s{port}/{{id}}" }}]
"""


def services(count: int, rate: int = 1_000_000) -> str:
    """So many services with three routes each; the last one has the first route of dog-names."""
    ports = range(FIRST_PORT, FIRST_PORT + count)
    entries = [ENTRY.format(port=port, first="/dogs" if port == ports[-1] else f"/s{port}") for port in ports]
    return f"[api]\nthrottle = {{ rate = {rate}, burst = {rate} }}\n" + "".join(entries)
