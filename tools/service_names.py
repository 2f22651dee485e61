"""The endpoint service names that the gateway is deployed with: exported ones, else those from the providers' deploys.

`python tools/service_names.py COMMAND…` prints the names, exports them and becomes the command. Without a command it refuses
exported names that the next deploys of the providers may change.
"""

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Variable → stack and output. A third service's variable is exported by hand.
SOURCES = {
    "DOGNAME_SERVICE_NAME": ("ecs-provider", "ecsvpcendpointservicename"),
    "TODO_SERVICE_NAME": ("ec2-provider", "ec2vpceendpointservicename"),
}


def deployed(variable: str) -> str:
    """The output of the provider's last deploy from here; empty if there was none."""
    stack, output = SOURCES[variable]
    path = ROOT / stack / ".outputs" / f"{stack}.json"
    return str(json.loads(path.read_text())[stack][output]) if path.is_file() else ""


def problem(variable: str, exported: str, *, before: bool) -> str | None:
    """Why the gateway cannot use the name; `before` the deploys of the providers the name may be missing."""
    stack, output = SOURCES[variable]
    own, team = deployed(variable), stack.removesuffix("-provider")
    swapped = [SOURCES[other][0] for other in SOURCES if other != variable and deployed(other) == exported]
    if not (exported or own or before):
        return f"{variable} is missing: export the output {stack}.{output} of its team's deploy, or run: make deploy-{team}"
    if not exported or exported == own:
        return None
    if swapped:
        return (
            f"{variable} is {exported}, which is the service of {swapped[0]}, expected {own or f'the output {stack}.{output}'}; "
            f"were two names swapped? unset {variable}, or export the right one"
        )
    if own:
        return (
            f"{variable} is {exported}, but the last deploy of {stack} from here left {own} in "
            f"{stack}/.outputs/{stack}.json; unset {variable} to use that, "
            f"or remove the file if {stack} has been deployed from elsewhere since"
        )
    if before:
        return (
            f"{variable} is {exported}, but {stack} is about to be deployed and tells its name itself; unset {variable}"
        )
    return None


def main(command: list[str]) -> None:
    exported = {variable: os.environ.get(variable, "") for variable in SOURCES}
    problems = [problem(variable, name, before=not command) for variable, name in exported.items()]
    if any(problems):
        print("\n".join(f"error: {text}" for text in problems if text), file=sys.stderr)
        sys.exit(2)
    if command:
        for variable, (stack, _) in SOURCES.items():
            origin = "the environment" if exported[variable] else f"{stack}/.outputs/{stack}.json"
            os.environ[variable] = exported[variable] or deployed(variable)
            print(f"{variable}={os.environ[variable]} (from {origin})", flush=True)
        os.execvp(command[0], command)  # noqa: S606 - no shell


if __name__ == "__main__":
    main(sys.argv[1:])
