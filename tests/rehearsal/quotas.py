"""Service Quotas of EC2, which moto lacks: an account starts with what AWS gives to a new one."""

import json

from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import Instance
from moto.servicequotas.responses import ServiceQuotasResponse

VCPUS = "L-1216C47A"
values: dict[str, float] = {}  # by account; more is granted at once, which takes AWS minutes to days


def get_service_quota(self: ServiceQuotasResponse) -> str:
    asked = json.loads(self.body)
    assert (asked["ServiceCode"], asked["QuotaCode"]) == ("ec2", VCPUS), "the rehearsal has one quota"
    return json.dumps({"Quota": {"QuotaCode": VCPUS, "Value": values.get(self.current_account, 5.0)}})


def request_service_quota_increase(self: ServiceQuotasResponse) -> str:
    values[self.current_account] = json.loads(self.body)["DesiredValue"]
    return json.dumps({"RequestedQuota": {"Status": "PENDING"}})


def cpu_options(self: Instance) -> dict[str, int]:
    info = INSTANCE_TYPES[self.instance_type]["VCpuInfo"]
    return {"CoreCount": info["DefaultCores"], "ThreadsPerCore": info["DefaultThreadsPerCore"]}


def install() -> None:
    Instance.cpu_options = property(cpu_options)  # type: ignore[attr-defined]
    for function in (get_service_quota, request_service_quota_increase):
        setattr(ServiceQuotasResponse, function.__name__, function)
