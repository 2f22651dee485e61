"""The settings of ecs-provider."""

from dataclasses import dataclass

from common.provider import ProviderSettings
from common.settings import variable
from infra.image import image_tag

# The name of the service: of its container, its ECR repository and its alarm.
SERVICE = "dog-names"
TAGS = {"owner": "dogs-team", "service": SERVICE, "cost-center": "dogs"}


@dataclass(frozen=True, kw_only=True)
class EcsSettings(ProviderSettings):
    """`image_tag` is a tag in the account's ECR repository."""

    stack: str = "ecs-provider"
    image_tag: str = variable(
        "IMAGE_TAG",
        r"(?!None$)[A-Za-z0-9_][A-Za-z0-9._-]{0,127}",  # the AWS CLI prints None for nothing
        "001",
        default=image_tag(),
        without="the image is the one of image/ here",
    )
