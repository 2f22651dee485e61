"""Which endpoint service names the gateway is deployed with: exported ones, else those that the providers' deploys left.

`python tools/service_names.py COMMAND…` says which it uses, exports them and becomes the command.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
# variable → (stack, output); a third service's variable is exported by hand.
SOURCES = {
    "DOGNAME_SERVICE_NAME": ("ecs-provider", "ecsvpcendpointservicename"),
    "TODO_SERVICE_NAME": ("ec2-provider", "ec2vpceendpointservicename"),
}


def output(root: Path, stack: str, name: str) -> str | None:
    """What the last deploy of `stack` from here printed."""
    path = root / stack / ".outputs" / f"{stack}.json"
    return str(json.loads(path.read_text())[stack][name]) if path.is_file() else None


def service_names(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    """SystemExit with what is missing, or with two names that were swapped."""
    deployed = {variable: output(root, *source) for variable, source in SOURCES.items()}
    names, problems = {}, []
    for variable, (stack, key) in SOURCES.items():
        name = environ.get(variable) or deployed[variable]
        others = [other for other, value in deployed.items() if other != variable and value == name]
        if not name:
            problems.append(
                f"{variable} is missing: export the output {stack}.{key} of its team's deploy, or run: make deploy-"
                + stack.removesuffix("-provider")
            )
        elif others:
            problems.append(
                f"{variable} is {name}, which is the service of {SOURCES[others[0]][0]}, expected "
                f"{deployed[variable] or f'the output {stack}.{key}'}; were two names swapped? unset {variable}, or export the right one"
            )
        else:
            origin = "the environment" if environ.get(variable) else f"{stack}/.outputs/{stack}.json"
            print(f"{variable}={name} (from {origin})", flush=True)
            names[variable] = name
    if problems:
        print("\n".join(f"error: {problem}" for problem in problems), file=sys.stderr)
        sys.exit(2)
    return names


if __name__ == "__main__":
    os.execvpe(sys.argv[1], sys.argv[1:], {**os.environ, **service_names(os.environ, ROOT)})  # noqa: S606 - no shell
