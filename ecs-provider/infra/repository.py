"""The ECR repository of the image: `python -m infra.repository ensure|has|password REGION [TAG]`.

The first push creates the repository, not the stack: it outlives the stack, so that a task always finds its image.
"""

import base64
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from common.checks import CheckError
from infra.settings import SERVICE, EcsSettings

# Tags are immutable. Images without a tag expire, so a deployed tag never does.
LIFECYCLE = Path(__file__).with_name("lifecycle.json")


def ensure_repository(ecr: Any) -> None:
    """Create the repository when it is missing; one that exists is adopted as it is."""
    try:
        ecr.describe_repositories(repositoryNames=[SERVICE])
        return
    except ecr.exceptions.RepositoryNotFoundException:
        pass
    ecr.create_repository(
        repositoryName=SERVICE,
        imageTagMutability="IMMUTABLE",
        imageScanningConfiguration={"scanOnPush": True},
        encryptionConfiguration={"encryptionType": "AES256"},
    )
    ecr.put_lifecycle_policy(repositoryName=SERVICE, lifecyclePolicyText=LIFECYCLE.read_text())


def has_image(ecr: Any, tag: str) -> bool:
    """Whether the account's repository holds the tag."""
    try:
        ecr.describe_images(repositoryName=SERVICE, imageIds=[{"imageTag": tag}])
    except (ecr.exceptions.RepositoryNotFoundException, ecr.exceptions.ImageNotFoundException):
        return False
    return True


def check_image(session: boto3.Session, settings: EcsSettings) -> None:
    """The account's repository must hold the tag. Without credentials, or with another account's, the CDK CLI refuses by itself."""
    name = f"{SERVICE}:{settings.image_tag}"
    try:
        identity = session.client("sts", region_name=settings.region).get_caller_identity()
        ecr = session.client("ecr", region_name=settings.region)
        if identity["Account"] != settings.account or has_image(ecr, settings.image_tag):
            return
    except BotoCoreError:
        return
    except ClientError as error:
        raise CheckError(f"ECR of account {settings.account} could not be asked for {name}: {error}") from None
    raise CheckError(f"{name} is not in ECR of account {settings.account}; push it first: make push")


def password(ecr: Any) -> str:
    """The password of `docker login --username AWS`, for twelve hours."""
    [data] = ecr.get_authorization_token()["authorizationData"]
    return base64.b64decode(data["authorizationToken"]).decode().partition(":")[2]


if __name__ == "__main__":
    command, region, *tag = sys.argv[1:]
    ecr = boto3.client("ecr", region_name=region)
    if command == "ensure":
        ensure_repository(ecr)
    else:
        print(password(ecr) if command == "password" else "yes" if has_image(ecr, *tag) else "no")
