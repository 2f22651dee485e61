"""Stands in for DOCKER: records every command, fails on one that it does not expect, shows a push to ECR.

An image manifest put by the API is what `docker push` leaves behind as far as ECR's own API can tell. As with the real
one, a registry is that of the account whose password came with the login, whatever credentials are around.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

REGISTRY = r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[\w-]+)\.amazonaws\.com"
EXPECTED = {
    "build": r"build --platform linux/arm64 -t \S+ \S+",
    "login": rf"login --username AWS --password-stdin {REGISTRY}",
    "tag": rf"tag \S+ {REGISTRY}/\S+:\S+",
    "push": rf"push {REGISTRY}/(?P<repository>[\w./-]+):(?P<tag>[\w.-]+)",
}


def main(arguments: list[str], environ: Mapping[str, str]) -> None:
    command, record = " ".join(arguments), Path(environ["DOCKER_RECORD"])
    match = re.fullmatch(EXPECTED.get(arguments[0] if arguments else "", r"(?!)"), command)
    if match is None:
        sys.exit(f"error: the rehearsal's docker does not expect: {command}")
    if arguments[0] == "login" and sys.stdin.read().strip() != f"{match['account']}-auth-token":
        sys.exit(f"error: no password of {arguments[-1]} on standard input")
    if arguments[0] == "push":
        done = record.read_text()
        for step in (f"login --username AWS --password-stdin {arguments[1].partition('/')[0]}\n", f" {arguments[1]}\n"):
            if step not in done:
                sys.exit(f"error: pushed before{step.rstrip()}")
        push(match.groupdict())
    with record.open("a") as lines:
        lines.write(command + "\n")


def push(image: Mapping[str, str]) -> None:
    """Puts a manifest of its own for each tag."""
    import boto3  # half a second that the other commands need not wait

    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"digest": f"sha256:{sha256(image['tag'].encode()).hexdigest()}"},
        "layers": [],
    }
    ecr = boto3.client(
        "ecr",
        region_name=image["region"],
        aws_access_key_id=f"AKIA{image['account']}TEST",
        aws_secret_access_key="unchecked",
    )
    ecr.put_image(repositoryName=image["repository"], imageTag=image["tag"], imageManifest=json.dumps(manifest))


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
