"""What the next deploys change across the folders: who reaches whom, and the cost a month: python -m tools.changes.

`make explain` of a folder leaves the deployed template in .local/deployed.json and the new one in cdk.out.
"""

import json
from collections.abc import Iterator
from typing import Any

from tools.cost import TOTAL, costs_of, dollars
from tools.reach import Network, Row
from tools.resources import read
from tools.synth import FOLDERS, ROOT, Document
from tools.template import TemplateError


def documents(folder: str) -> tuple[Document, Document]:
    """The deployed template, empty before the first deploy, and the new one."""
    texts = [(ROOT / folder / path).read_text() for path in (".local/deployed.json", f"cdk.out/{folder}.template.json")]
    deployed, new = (json.loads(text) or {"Resources": {}} for text in texts)
    return deployed, new


def flows(document: Document) -> set[Row]:
    """From, port, to. The CDK CLI writes paths of constructs into the metadata of resources, which open nothing."""
    bodies: dict[str, dict[str, Any]] = document["Resources"]
    resources = {id: {key: body[key] for key in body if key != "Metadata"} for id, body in bodies.items()}
    return {*Network(read({**document, "Resources": resources})).flows()}


def changes() -> Iterator[str]:
    compared = {folder: documents(folder) for folder in FOLDERS}
    try:
        for folder, templates in compared.items():
            before, after = map(flows, templates)
            for sign, rows in (("+", after - before), ("-", before - after)):
                yield from (
                    f"{sign} {folder}: {source} reaches {to} on port {port}" for source, port, to in sorted(rows)
                )
        deployed, new = (costs_of({name: pair[at] for name, pair in compared.items()})[TOTAL] for at in (0, 1))
        yield f"idle cost a month: {dollars(deployed)} USD deployed, {dollars(new)} USD after"
    except TemplateError as error:
        yield f"not compared: {error}"


if __name__ == "__main__":
    print("ways in and out, and cost, of all three", *changes(), sep="\n  ")
