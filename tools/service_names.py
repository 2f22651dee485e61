"""Which endpoint service names the gateway is deployed with: exported ones, else those that the providers' deploys left.

`python tools/service_names.py COMMAND…` says which it uses, exports them and becomes the command. Without a command it checks,
before the providers are deployed, that none is exported that their deploys may change.
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


def problem(variable: str, exported: str | None, deployed: Mapping[str, str | None], *, before: bool) -> str | None:
    """Why `variable` cannot be taken as it is; `before` the providers' deploys, which tell their names, it may be missing."""
    stack, key = SOURCES[variable]
    own, path = deployed[variable], f"{stack}/.outputs/{stack}.json"
    others = [SOURCES[other][0] for other, name in deployed.items() if other != variable and name == exported]
    if not exported and not own and not before:
        team = stack.removesuffix("-provider")
        return (
            f"{variable} is missing: export the output {stack}.{key} of its team's deploy, or run: make deploy-{team}"
        )
    if not exported or exported == own:
        return None
    if others:
        return (
            f"{variable} is {exported}, which is the service of {others[0]}, expected {own or f'the output {stack}.{key}'}; "
            f"were two names swapped? unset {variable}, or export the right one"
        )
    if own:
        return (
            f"{variable} is {exported}, but the last deploy of {stack} from here left {own} in {path}; "
            f"unset {variable} to use that, or remove the file if {stack} has been deployed from elsewhere since"
        )
    if before:
        return (
            f"{variable} is {exported}, but {stack} is about to be deployed and tells its name itself; unset {variable}"
        )
    return None


def service_names(environ: Mapping[str, str], root: Path, *, before: bool) -> dict[str, str]:
    """SystemExit with what is missing, or exported and wrong."""
    deployed = {variable: output(root, *source) for variable, source in SOURCES.items()}
    found = [problem(variable, environ.get(variable), deployed, before=before) for variable in SOURCES]
    if problems := [text for text in found if text]:
        print("\n".join(f"error: {text}" for text in problems), file=sys.stderr)
        sys.exit(2)
    return {variable: environ.get(variable) or deployed[variable] or "" for variable in SOURCES}


def main(command: list[str]) -> None:
    names = service_names(os.environ, ROOT, before=not command)
    if command:
        for variable, name in names.items():
            stack, _ = SOURCES[variable]
            origin = "the environment" if os.environ.get(variable) else f"{stack}/.outputs/{stack}.json"
            print(f"{variable}={name} (from {origin})", flush=True)
        os.execvpe(command[0], command, {**os.environ, **names})  # noqa: S606 - no shell


if __name__ == "__main__":
    main(sys.argv[1:])
