"""Resources of the types that moto's CloudFormation lacks, for the real `cdk bootstrap`, `deploy` and `destroy`.

A binding makes its resource by the API call that AWS makes for the type, sent to this same server: botocore checks the
arguments, and every client sees the resource. bindings.toml has the calls, and this file the exceptions.
"""

import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import boto3
import jmespath
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError

from .environment import access_key
from .schemas import changed

Properties = dict[str, Any]
LOCK = Lock()
TARGET = ("ResourceId", "ScalableDimension", "ServiceNamespace")


@cache
def client(service: str, account: str, region: str) -> Any:
    with LOCK:  # boto3 creates clients in one thread at a time
        return boto3.client(  # type: ignore[call-overload] # which service is data
            service, region_name=region, config=Config(retries={"total_max_attempts": 1}),
            aws_access_key_id=access_key(account), aws_secret_access_key="unchecked",
        )  # fmt: skip


def input_shape(api: Any, call: str) -> Any:
    return api.meta.service_model.operation_model(api.meta.method_to_api_mapping[call]).input_shape


@dataclass
class Resource:
    """A resource in moto's CloudFormation: Ref gives the id, Fn::GetAtt gives `values`."""

    physical_resource_id: str
    values: Properties = field(default_factory=dict)
    delete: Callable[[str, str], None] = lambda account, region: None
    cf_resource_type: str = ""
    logical_resource_id: str = ""

    def get_cfn_attribute(self, name: str) -> Any:
        if name not in self.values:
            raise ValidationError(message=f"the rehearsal has no {name} of a {self.cf_resource_type}")
        return self.values[name]

    def is_created(self) -> bool:
        return True


@dataclass(frozen=True)
class Binding:
    """A line of bindings.toml. `arguments` turns properties into arguments where they differ."""

    ref: str
    call: str = ""
    name: str = ""
    delete: str = ""
    without: tuple[str, ...] = ()
    get: Properties = field(default_factory=dict)
    full_name: Properties = field(default_factory=dict)
    arn: str = ""
    arguments: Callable[[Properties], Properties] = dict

    def has_cfn_attr(self, name: str) -> bool:
        return True

    def create_from_cloudformation_json(
        self, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Resource:
        if not self.call:
            return Resource(self.ref.format(name=resource_name, region=region_name))
        properties: Properties = cloudformation_json["Properties"]
        service, call = self.call.split(".")
        if self.name:
            properties.setdefault(self.name, resource_name)
        api = client(service, account_id, region_name)
        arguments = self.arguments({key: value for key, value in properties.items() if key not in self.without})
        tags = arguments.pop("Tags", []) if service == "ec2" else []
        values = {**arguments, **getattr(api, call)(**arguments)}
        ref = jmespath.search(self.ref, values)
        if tags:
            api.create_tags(Resources=[ref], Tags=tags)
        if service == "elbv2":
            set_attributes(api, ref, properties)
        values |= {key: jmespath.search(path, values) for key, path in self.get.items()}
        values |= {key: ref.rpartition(text)[2] for key, text in self.full_name.items()}
        values |= {"Arn": self.arn.format(region=region_name, account=account_id, ref=ref)} if self.arn else {}
        return Resource(ref, values, lambda *_: self.undo(api, call, ref, arguments))

    def undo(self, api: Any, call: str, ref: str, arguments: Properties) -> None:
        same = call.replace("create_", "delete_")
        call = next(name for name in (self.delete, same, f"{same}s") if hasattr(api, name))
        shape = input_shape(api, call)
        given = {name: value for name, value in arguments.items() if name in shape.members}
        for name in shape.required_members:
            given.setdefault(name, [ref] if shape.members[name].type_name == "list" else ref)
        if failures := getattr(api, call)(**given).get("Unsuccessful"):
            raise ValidationError(message=failures[0]["Error"]["Message"])


class WaitCondition(Binding):
    """Nothing boots, so nothing signals: the condition is met, unless a test has put a signal where its URL leads."""

    def create_from_cloudformation_json(
        self, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Resource:
        url = urlsplit(cloudformation_json["Properties"]["Handle"])
        # A test cannot know the letters after the last hyphen.
        where = {"Bucket": url.netloc.partition(".")[0], "Key": url.path[1:].rpartition("-")[0]}
        try:
            signal = json.load(client("s3", account_id, region_name).get_object(**where)["Body"])
        except ClientError:
            return Resource(resource_name)
        reason = f"'{signal['Reason']}' for uniqueId: {signal['UniqueId']}"
        raise ValidationError(message=f"WaitCondition received failed message: {reason}")


class SdkCall(Binding):
    """Custom::AWS: the SDK call that CDK's Lambda function makes on AWS."""

    def create_from_cloudformation_json(
        self, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Resource:
        return self.run(cloudformation_json["Properties"]["Create"], account_id, region_name)

    def run(self, text: str, account_id: str, region_name: str) -> Resource:
        call = json.loads(text)
        api = client(call["service"].lower(), account_id, region_name)
        answer = getattr(api, xform_name(call["action"]))(**call["parameters"])
        paths = tuple(call.get("outputPaths", [""]))
        values = {key: value for key, value in flatten(answer) if key.startswith(paths)}
        if len(json.dumps(values, default=str)) > 4096:  # CloudFormation takes no more from a custom resource
            raise ValidationError(message="Response object is too long.")
        return Resource(call["physicalResourceId"]["id"], values)


def flatten(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """`{"A": [{"B": 1}]}` gives `A.0.B`: how CDK's Lambda function names the parts of an answer."""
    if not isinstance(value, dict | list):
        return [(path, value)]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [leaf for key, item in items for leaf in flatten(item, f"{path}.{key}" if path else str(key))]


def set_attributes(elbv2: Any, arn: str, properties: Properties, old: Sequence[Properties] = ()) -> None:
    """The attributes of a load balancer or a target group, and its targets, are calls of their own."""
    for kind in ("LoadBalancer", "TargetGroup"):
        if attributes := properties.get(f"{kind}Attributes"):
            modify = getattr(elbv2, f"modify_{xform_name(kind)}_attributes")
            modify(**{f"{kind}Arn": arn}, Attributes=attributes)
    targets = properties.get("Targets", [])
    if new := [each for each in targets if each not in old]:
        elbv2.register_targets(TargetGroupArn=arn, Targets=new)
    if gone := [each for each in old if each not in targets]:
        elbv2.deregister_targets(TargetGroupArn=arn, Targets=gone)


def endpoint(properties: Properties) -> Properties:
    policy = properties.get("PolicyDocument")
    return properties | ({"PolicyDocument": json.dumps(policy)} if policy else {})


def rule(properties: Properties) -> Properties:
    permission = {key: properties[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in properties}
    group = properties.get("DestinationSecurityGroupId") or properties.get("SourceSecurityGroupId")
    peer = {"UserIdGroupPairs": [{"GroupId": group}]} if group else {"IpRanges": [{"CidrIp": properties["CidrIp"]}]}
    return {"GroupId": properties["GroupId"], "IpPermissions": [permission | peer]}


def permissions(properties: Properties) -> Properties:
    return {"ServiceId": properties["ServiceId"], "AddAllowedPrincipals": properties["AllowedPrincipals"]}


def integration(properties: Properties) -> Properties:
    """AWS ignores a mapping to an empty string, and takes one mapping of a header, whatever its action and case."""
    mappings = properties.get("RequestParameters", {})
    names = [key.partition(":")[2].lower() for key in mappings]
    if len(set(names)) < len(names):
        raise ValidationError(message=f"Duplicate parameter mappings: {sorted(mappings)}")
    for key, value in mappings.items():
        if key.startswith("remove:") and value not in ("", "''"):
            raise ValidationError(message=f"Invalid mapping expression specified: {key}: {value}")
    return properties | {"RequestParameters": {key: value for key, value in mappings.items() if value}}


def scaling_policy(properties: Properties) -> Properties:
    target = zip(TARGET, properties.pop("ScalingTargetId").split("|"), strict=True)
    return properties | dict(target)


def dashboard(properties: Properties) -> Properties:
    """AWS refuses a body that is not JSON, and more than 500 widgets: CloudWatch-Dashboard-Body-Structure.html."""
    if (count := len(json.loads(properties["DashboardBody"])["widgets"])) > 500:
        raise ValidationError(message=f"The dashboard has {count} widgets, at most 500 are allowed")
    return properties


def lowered(value: Any) -> Any:
    """CloudWatch Logs begins the names of its arguments with a small letter."""
    if isinstance(value, list):
        return [lowered(item) for item in value]
    return {k[0].lower() + k[1:]: lowered(v) for k, v in value.items()} if isinstance(value, dict) else value


ARGUMENTS: dict[str, Callable[[Properties], Properties]] = {
    "AWS::EC2::VPCEndpoint": endpoint,
    "AWS::EC2::SecurityGroupEgress": rule,
    "AWS::EC2::SecurityGroupIngress": rule,
    "AWS::EC2::VPCEndpointServicePermissions": permissions,
    "AWS::ApiGatewayV2::Integration": integration,
    "AWS::ApplicationAutoScaling::ScalingPolicy": scaling_policy,
    "AWS::CloudWatch::Dashboard": dashboard,
    "AWS::Logs::MetricFilter": lowered,
}
CALLS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
UPDATES: dict[str, Properties] = CALLS.pop("update")
AGAIN = UPDATES.pop("again")["types"]
BINDINGS: dict[str, Binding] = {
    "Custom::AWS": SdkCall(""),
    "AWS::CloudFormation::WaitCondition": WaitCondition(""),
    **{type: Binding(**line, arguments=ARGUMENTS.get(type, dict)) for type, line in CALLS.items()},
}


def update(type: str, made: Any, old: Properties, new: Properties, account: str, region: str) -> Any:
    """Changes a resource in place. What neither a line of bindings.toml nor moto itself can change, fails."""
    line, binding = UPDATES.get(type, {}), resource_class(type)
    differing, definition = changed(old, new), {"Type": type, "Properties": new}
    if (unknown := differing - {*line.get("takes", [])}) and type not in AGAIN:
        raise ValidationError(message=f"the rehearsal cannot update {sorted(unknown)} of a {type}")
    if type == "Custom::AWS":
        return binding.run(new["Update"], account, region)
    if type in AGAIN:  # the call that made it changes it too
        return binding.create_from_cloudformation_json(made.physical_resource_id, definition, account, region)
    if "call" not in line:  # moto's own update is right about these properties
        return binding.update_from_cloudformation_json(made, made.physical_resource_id, definition, account, region)
    service, _, call = line["call"].partition(".")
    api, arguments = client(service, account, region), ARGUMENTS.get(type, dict)(new)
    own, given = call_arguments(input_shape(api, call), made, line, arguments, old, new)
    if given:
        getattr(api, call)(**own, **given)
    for key, removal in line.get("removed", {}).items():
        if key in old and key not in new:
            getattr(api, removal)(**own)
    if service == "elbv2":
        set_attributes(api, made.physical_resource_id, new, old.get("Targets", []))
    if service == "ec2" and "Tags" in differing:
        set_tags(api, made.physical_resource_id, old.get("Tags"), new.get("Tags"))
    return made


def call_arguments(
    shape: Any, made: Any, line: Properties, arguments: Properties, old: Properties, new: Properties
) -> tuple[Properties, Properties]:
    """What the call needs to find the resource, and what it changes."""
    # Some services begin the names of their arguments with a small letter.
    names = {name[0].upper() + name[1:]: name for name in shape.members}
    given = {names[key]: arguments[key] for key in changed(old, new) & names.keys() & arguments.keys()}
    given |= added_and_gone(line.get("lists", {}), old, new)
    needs = {*shape.required_members, *(names[key] for key in line.get("with", []))}
    own = {name: arguments.get(name[0].upper() + name[1:]) or made.physical_resource_id for name in needs}
    return own, given


def set_tags(ec2: Any, id: str, old: list[Any] | None, new: list[Any] | None) -> None:
    for change, tags in ((ec2.delete_tags, old), (ec2.create_tags, new)):
        if tags:
            change(Resources=[id], Tags=tags)


def added_and_gone(lists: Properties, old: Properties, new: Properties) -> Properties:
    """By the arguments of a call: what is new in each list, and what is gone."""
    parts: dict[str, set[str]] = {}
    for key, (added, gone) in lists.items():
        before, after = {*old.get(key, ())}, {*new.get(key, ())}
        parts |= {added: after - before, gone: before - after}
    return {name: sorted(part) for name, part in parts.items() if part}


def delete(type: str, made: Any, definition: Properties, account: str, region: str) -> None:
    """A type that moto makes and cannot delete fails, unless it is known to stay."""
    if type == "AWS::ECS::TaskDefinition":
        client("ecs", account, region).deregister_task_definition(taskDefinition=made.physical_resource_id)
    elif hasattr(made, "delete"):
        made.delete(account, region)
    elif not hasattr(resource_class(type).delete_from_cloudformation_json, "__isabstractmethod__"):
        parsing.parse_and_delete_resource(made.physical_resource_id, definition, account, region)
    elif type not in ("AWS::ECS::Cluster", "AWS::ECS::Service"):
        raise ValidationError(message=f"the rehearsal cannot delete a {type}")


def resource_class(resource_type: str) -> Any:
    """AWS refuses a type that it does not know; moto would leave the resource out and go on."""
    if binding := BINDINGS.get(resource_type) or parsing.get_model_map().get(resource_type):
        return binding
    raise ValidationError(message=f"Template format error: Unrecognized resource types: [{resource_type}]")
