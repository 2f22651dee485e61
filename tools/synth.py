"""Synthesizes a folder beside its local template, which the local run goes on using."""

import os
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def settings(folder: str) -> dict[str, str]:
    """What the folder's local template was made with."""
    words = shlex.split((ROOT / folder / ".local/settings").read_text())
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def registry() -> str:
    """The registry of the gateway's local template."""
    return (ROOT / "global-apigw" / (settings("global-apigw")["SERVICES"] or "services.toml")).read_text()


def synthesize(folder: str, into: Path, **changed: str) -> Path:
    """The path of the template; `changed` settings differ from those of the local one."""
    work, out = ROOT / folder, into / "cdk.out"
    # The folder's node comes before whatever the machine has.
    path = f"{work / '.venv/bin'}:{os.environ['PATH']}"
    own = {"CDK_OUTDIR": str(out), "CDK_VALIDATION": "false", "PATH": path}
    environ = {**os.environ, **settings(folder), **own, **changed}
    subprocess.run([str(work / ".venv/bin/python"), "app.py"], cwd=work, env=environ, check=True)  # noqa: S603 - no shell
    return out / f"{folder}.template.json"


def synthesize_registry(text: str, into: Path, **changed: str) -> Path:
    """The path of the gateway's template with another registry."""
    (into / "services.toml").write_text(text)
    return synthesize("global-apigw", into, SERVICES=str(into / "services.toml"), **changed)


def variants(folder: str) -> list[str]:
    """The settings that the folder's lint looks at, the default first."""
    makefile = (ROOT / folder / "Makefile").read_text().replace("\\\n", " ")
    [line] = [line for line in makefile.splitlines() if line.startswith("VARIANTS := ")]
    return shlex.split(line)[2:]
