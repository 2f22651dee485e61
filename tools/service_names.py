"""The endpoint service names that the gateway is deployed with: exported ones, else those from the providers' deploys.

`python tools/service_names.py COMMAND…` prints the names, exports them and becomes the command. Without a command it refuses
exported names that the next deploys of the providers may change, and prints the variables whose values these deploys yield.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Variable → stack and output. A third service's variable is exported by hand.
SOURCES = {
    "DOGNAME_SERVICE_NAME": ("ecs-provider", "ecsvpcendpointservicename"),
    "TODO_SERVICE_NAME": ("ec2-provider", "ec2vpceendpointservicename"),
}


def deployed(stack: str, output: str) -> str:
    """The output of the provider's last deploy from here; empty if there was none."""
    path = ROOT / stack / ".outputs" / f"{stack}.json"
    return str(json.loads(path.read_text())[stack][output]) if path.is_file() else ""


def problems(exported: dict[str, str], *, before: bool) -> Iterator[str]:
    """Why the gateway cannot use the names; `before` the deploys of the providers a name may be missing."""
    stacks = {deployed(*source): source[0] for source in SOURCES.values()}
    for variable, (stack, output) in SOURCES.items():
        name, own, told = exported[variable], deployed(stack, output), f"the output {stack}.{output}"
        team = stack.removesuffix("-provider")
        if not (name or own or before):
            yield f"{variable} is missing: export {told} of its team's deploy, or run: make deploy-{team}"
        if name in ("", own):
            continue
        if name in stacks:
            yield (
                f"{variable} is {name}, which is the service of {stacks[name]}, expected {own or told}; "
                f"were two names swapped? unset {variable}, or export the right one"
            )
        elif own:
            yield (
                f"{variable} is {name}, but the last deploy of {stack} from here left {own} in "
                f"{stack}/.outputs/{stack}.json; unset {variable} to use that, "
                f"or remove the file if {stack} has been deployed from elsewhere since"
            )
        elif before:
            yield (
                f"{variable} is {name}, but {stack} is about to be deployed and tells its name itself; unset {variable}"
            )


def main(command: list[str]) -> None:
    exported = {variable: os.environ.get(variable, "") for variable in SOURCES}
    if found := [*problems(exported, before=not command)]:
        print("\n".join(f"error: {problem}" for problem in found), file=sys.stderr)
        sys.exit(2)
    if not command:
        print(*SOURCES)
    else:
        for variable, (stack, output) in SOURCES.items():
            origin = "the environment" if exported[variable] else f"{stack}/.outputs/{stack}.json"
            os.environ[variable] = exported[variable] or deployed(stack, output)
            print(f"{variable}={os.environ[variable]} (from {origin})", flush=True)
        os.execvp(command[0], command)  # noqa: S606 - no shell


if __name__ == "__main__":
    main(sys.argv[1:])
