"""The templates of the folders: the local ones, and others that are synthesized beside them."""

import json
import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parent.parent
# In the order of a deploy.
FOLDERS = tuple(re.findall(r"^FOLDERS := (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[0].split())

Document = dict[str, Any]


def local(folder: str) -> Document:
    """The folder's local template, with the default settings."""
    document: Document = json.loads((ROOT / folder / f".local/cdk.out/{folder}.template.json").read_text())
    return document


def settings(folder: str) -> dict[str, str]:
    """The settings of the folder's local template."""
    return pairs((ROOT / folder / ".local/settings").read_text())


def pairs(text: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(text))


def registry_file() -> Path:
    """The registry of the gateway's local template."""
    return ROOT / "global-apigw" / (settings("global-apigw")["SERVICES"] or "services.toml")


def registry() -> str:
    return registry_file().read_text()


def synthesize(folder: str, registry: str = "", **changed: str) -> Document:
    """A template with other settings than the local one: `changed`, and for the gateway the text of a `registry`."""
    work = ROOT / folder
    with TemporaryDirectory() as into:
        if registry:
            changed["SERVICES"] = f"{into}/services.toml"
            Path(changed["SERVICES"]).write_text(registry)
            for truststore in registry_file().parent.glob("*.pem"):
                Path(into, truststore.name).write_text(truststore.read_text())
        # The CDK needs the folder's own node, not another one of the machine.
        own = {"CDK_OUTDIR": into, "CDK_VALIDATION": "false", "PATH": f"{work / '.venv/bin'}:{os.environ['PATH']}"}
        environ = {**os.environ, **settings(folder), **own, **changed}
        subprocess.run([str(work / ".venv/bin/python"), "app.py"], cwd=work, env=environ, check=True)  # noqa: S603 - no shell
        document: Document = json.loads(Path(into, f"{folder}.template.json").read_text())
    return document


def variants() -> list[tuple[str, str, Document]]:
    """Folder, settings and template for all settings that lint looks at, except the default."""
    wanted: list[tuple[str, str]] = []
    for folder in FOLDERS:
        makefile = (ROOT / folder / "Makefile").read_text().replace("\\\n", " ")
        [line] = re.findall("^VARIANTS := (.*)", makefile, re.MULTILINE)
        wanted += [(folder, switches) for switches in shlex.split(line)[1:]]  # the first is the default
    with ThreadPoolExecutor(2) as pool:
        documents = pool.map(lambda each: synthesize(each[0], **pairs(each[1])), wanted)
        return [(*each, document) for each, document in zip(wanted, documents, strict=True)]
