"""The settings of ecs-provider."""

from dataclasses import dataclass

from common.settings import Settings, split, variable
from infra.image import image_tag

# The name of the service: of its container, its ECR repository and its alarm.
SERVICE = "dog-names"
TAGS = {"owner": "dogs-team", "service": SERVICE, "cost-center": "dogs"}


@dataclass(frozen=True, kw_only=True)
class EcsSettings(Settings):
    """`allowed_principal` may connect to the endpoint service, also from `supported_regions`; `image_tag` is a tag in the account's ECR repository."""

    stack: str = "ecs-provider"
    allowed_principal: str = variable("API_GATEWAY_ACCOUNT_ARN")
    supported_regions: tuple[str, ...] = variable("SUPPORTED_REGIONS", convert=split)
    acceptance: str = variable("ACCEPTANCE")
    certificate_arn: str = variable("CERTIFICATE_ARN")
    image_tag: str = variable(
        "IMAGE_TAG",
        r"(?!None$)[A-Za-z0-9_][A-Za-z0-9._-]{0,127}",  # the AWS CLI prints None for nothing
        "001",
        default=image_tag(),
        without="the image is the one of image/ here",
    )
