"""The settings that all providers share."""

from dataclasses import dataclass

from common.settings import Settings, split, variable


@dataclass(frozen=True, kw_only=True)
class ProviderSettings(Settings):
    """`allowed_principal` is the ARN of the one principal that may connect, also from the other `supported_regions`.

    With the `acceptance` manual an endpoint waits until somebody accepts it: `make connections`. With a `certificate_arn` of
    ACM the NLB takes TLS, too, beside plain TCP: APIs move one by one.
    """

    allowed_principal: str = variable("API_GATEWAY_ACCOUNT_ARN")
    supported_regions: tuple[str, ...] = variable("SUPPORTED_REGIONS", convert=split)
    acceptance: str = variable("ACCEPTANCE")
    certificate_arn: str = variable("CERTIFICATE_ARN")
