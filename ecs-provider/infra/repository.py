"""The ECR repository of the image: `python -m infra.repository --region R ensure|has|password`.

It is made by the first push, not by the stack, which it outlives: a task must always find its image.
"""

from __future__ import annotations

import argparse
import base64
import json

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from common.checks import CheckError
from infra.settings import EcsSettings

NAME = "dog-names"
DAYS = 14
# Only images without a tag expire; tags are immutable, so a deployed tag never does.
LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": f"expire untagged images after {DAYS} days",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": DAYS,
            },
            "action": {"type": "expire"},
        }
    ]
}


def ensure_repository(session: boto3.Session, region: str) -> None:
    """Create the repository when it is missing; one that exists is adopted as it is."""
    ecr = session.client("ecr", region_name=region)
    try:
        ecr.describe_repositories(repositoryNames=[NAME])
        return
    except ecr.exceptions.RepositoryNotFoundException:
        pass
    ecr.create_repository(
        repositoryName=NAME,
        imageTagMutability="IMMUTABLE",
        imageScanningConfiguration={"scanOnPush": True},
        encryptionConfiguration={"encryptionType": "AES256"},
    )
    ecr.put_lifecycle_policy(repositoryName=NAME, lifecyclePolicyText=json.dumps(LIFECYCLE))


def has_image(session: boto3.Session, region: str, tag: str) -> bool:
    """Whether the account's repository holds the tag."""
    ecr = session.client("ecr", region_name=region)
    try:
        ecr.describe_images(repositoryName=NAME, imageIds=[{"imageTag": tag}])
    except (ecr.exceptions.RepositoryNotFoundException, ecr.exceptions.ImageNotFoundException):
        return False
    return True


def check_image(session: boto3.Session, settings: EcsSettings) -> None:
    """The account's repository must hold the tag; with credentials of nobody or of others, the CDK CLI refuses by itself."""
    name = f"{NAME}:{settings.image_tag}"
    try:
        identity = session.client("sts", region_name=settings.region).get_caller_identity()
        if identity["Account"] != settings.account or has_image(session, settings.region, settings.image_tag):
            return
    except BotoCoreError:
        return
    except ClientError as error:
        raise CheckError(f"ECR of account {settings.account} could not be asked for {name}: {error}") from None
    raise CheckError(f"{name} is not in ECR of account {settings.account}; push it first: make push")


def password(session: boto3.Session, region: str) -> str:
    """What `docker login --username AWS` takes, for twelve hours."""
    [data] = session.client("ecr", region_name=region).get_authorization_token()["authorizationData"]
    return base64.b64decode(data["authorizationToken"]).decode().partition(":")[2]


def main() -> None:
    parser = argparse.ArgumentParser(prog="infra.repository", description="The ECR repository of the image.")
    parser.add_argument("command", choices=["ensure", "has", "password"])
    parser.add_argument("--region", required=True)
    parser.add_argument("--tag")
    arguments = parser.parse_args()
    session = boto3.Session()
    if arguments.command == "ensure":
        ensure_repository(session, arguments.region)
    elif arguments.command == "has":
        print("yes" if has_image(session, arguments.region, arguments.tag) else "no")
    else:
        print(password(session, arguments.region))


if __name__ == "__main__":
    main()
