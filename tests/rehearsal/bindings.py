"""What moto's CloudFormation lacks, so that the real `cdk bootstrap`, `deploy` and `destroy` run against it.

A binding makes its resource by the API call that AWS makes for the type, sent to this same server:
botocore checks the arguments, and every client sees what was made. What neither moto nor this file knows
fails the deploy.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import boto3
import jmespath
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.cloudformation import models, parsing
from moto.cloudformation.exceptions import ValidationError

from .environment import access_key

Properties = dict[str, Any]
LOCK = Lock()
create_resource_in_moto = parsing.parse_and_create_resource
create_change_set_in_moto = models.CloudFormationBackend.create_change_set


@cache
def client(service: str, account: str, region: str) -> Any:
    with LOCK:  # boto3 creates clients in one thread at a time
        return boto3.client(  # type: ignore[call-overload] # which service is data
            service, region_name=region, config=Config(retries={"total_max_attempts": 1}),
            aws_access_key_id=access_key(account), aws_secret_access_key="unchecked",
        )  # fmt: skip


@dataclass
class Resource:
    """A resource in moto's CloudFormation: Ref gives the id, Fn::GetAtt gives `values`."""

    physical_resource_id: str
    values: Properties
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
    """The API call that makes a resource of one type.

    `ref` is a JMESPath into arguments and answer. `arguments` turns properties into the call's arguments,
    `then` makes the calls for properties that are left, `attributes` adds to what Fn::GetAtt gives: arguments
    and answer. `delete` is given where it is not named like `create`; it takes what botocore requires.
    """

    service: str
    create: str
    ref: str
    delete: str = ""
    name: str = ""
    arguments: Callable[[Properties], Properties] = dict
    then: Callable[[Any, str, Properties], object] = lambda api, ref, properties: None
    attributes: Callable[[str, Properties], Properties] = lambda ref, values: {}

    def has_cfn_attr(self, name: str) -> bool:
        return True

    def create_from_cloudformation_json(
        self, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Resource:
        properties = cloudformation_json["Properties"]
        if self.name:
            properties.setdefault(self.name, resource_name)
        api = client(self.service, account_id, region_name)
        arguments = self.arguments(properties)
        tags = arguments.pop("Tags", []) if self.service == "ec2" else []
        values = {**arguments, **getattr(api, self.create)(**arguments)}
        ref = jmespath.search(self.ref, values)
        if tags:
            api.create_tags(Resources=[ref], Tags=tags)
        self.then(api, ref, properties)
        resource = Resource(ref, values | self.attributes(ref, values))
        resource.delete = lambda account, region: self.undo(api, ref, arguments)
        return resource

    def undo(self, api: Any, ref: str, arguments: Properties) -> None:
        same = self.create.replace("create_", "delete_")
        call = next(name for name in (self.delete, same, f"{same}s") if hasattr(api, name))
        needs = api.meta.service_model.operation_model(api.meta.method_to_api_mapping[call]).input_shape
        given = {
            name: arguments.get(name) or ([ref] if needs.members[name].type_name == "list" else ref)
            for name in needs.required_members
        }
        if failures := getattr(api, call)(**given).get("Unsuccessful"):
            raise ValidationError(message=failures[0]["Error"]["Message"])

    def update_from_cloudformation_json(self, cloudformation_json: Any, **_: Any) -> Resource:
        kind = cloudformation_json["Type"]
        raise ValidationError(message=f"the rehearsal cannot update a {kind}: start from a fresh server")


class Recorded(Binding):
    """A type without effect in the rehearsal: the resource is a name."""

    def create_from_cloudformation_json(self, resource_name: str, *args: Any, **_: Any) -> Resource:
        return Resource(self.ref.format(name=resource_name, region=args[2]), {})


class Signalled(Recorded):
    """Nothing boots, so nothing signals: the condition counts as met, unless a test has put a signal where its URL leads."""

    def create_from_cloudformation_json(
        self, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Resource:
        url = urlsplit(cloudformation_json["Properties"]["Handle"])
        s3 = client("s3", account_id, region_name)
        try:
            # A test cannot know the letters after the last hyphen.
            key = url.path[1:].rpartition("-")[0]
            body = s3.get_object(Bucket=url.netloc.partition(".")[0], Key=key)["Body"].read()
        except ClientError:
            return Resource(resource_name, {})
        signal = json.loads(body)
        if signal["Status"] != "SUCCESS":
            reason = f"'{signal['Reason']}' for uniqueId: {signal['UniqueId']}"
            raise ValidationError(message=f"WaitCondition received failed message: {reason}")
        return Resource(resource_name, {})


class SdkCall(Binding):
    """Custom::AWS: the SDK call that CDK's Lambda function makes on AWS."""

    def create_from_cloudformation_json(
        self, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Resource:
        call = json.loads(cloudformation_json["Properties"]["Create"])
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


def without(*names: str) -> Callable[[Properties], Properties]:
    return lambda properties: {key: value for key, value in properties.items() if key not in names}


def endpoint(properties: Properties) -> Properties:
    policy = properties.get("PolicyDocument")
    return properties | ({"PolicyDocument": json.dumps(policy)} if policy else {})


def egress(properties: Properties) -> Properties:
    permission = {key: properties[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in properties}
    group, addresses = properties.get("DestinationSecurityGroupId"), properties.get("CidrIp")
    peer = {"UserIdGroupPairs": [{"GroupId": group}]} if group else {"IpRanges": [{"CidrIp": addresses}]}
    return {"GroupId": properties["GroupId"], "IpPermissions": [permission | peer]}


def lowered(value: Any) -> Any:
    """CloudWatch Logs begins the names of its arguments with a small letter."""
    if isinstance(value, list):
        return [lowered(item) for item in value]
    return {k[0].lower() + k[1:]: lowered(v) for k, v in value.items()} if isinstance(value, dict) else value


def scaling_policy(properties: Properties) -> Properties:
    target = dict(zip(TARGET, properties["ScalingTargetId"].split("|"), strict=True))
    return target | without("ScalingTargetId")(properties)


def set_attributes(kind: str) -> Callable[[Any, str, Properties], None]:
    def then(elbv2: Any, arn: str, properties: Properties) -> None:
        attributes = properties.get(f"{kind}Attributes", [])
        getattr(elbv2, f"modify_{xform_name(kind)}_attributes")(**{f"{kind}Arn": arn}, Attributes=attributes)
        if targets := properties.get("Targets"):
            elbv2.register_targets(TargetGroupArn=arn, Targets=targets)

    return then


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


TARGET = ("ResourceId", "ScalableDimension", "ServiceNamespace")
BINDINGS: dict[str, Binding] = {
    # moto has these, but subnets without AvailabilityZoneId, endpoints without GetAtt, load balancers
    # without Type, target groups without Targets; and it never deletes listeners and route tables.
    "AWS::EC2::Subnet": Binding(
        "ec2", "create_subnet", "Subnet.SubnetId", arguments=without("MapPublicIpOnLaunch")),
    "AWS::EC2::RouteTable": Binding("ec2", "create_route_table", "RouteTable.RouteTableId"),
    "AWS::EC2::SubnetRouteTableAssociation": Binding(
        "ec2", "associate_route_table", "AssociationId", "disassociate_route_table"),
    "AWS::EC2::VPCEndpoint": Binding(
        "ec2", "create_vpc_endpoint", "VpcEndpoint.VpcEndpointId", arguments=endpoint,
        attributes=lambda _, values: {"NetworkInterfaceIds": values["VpcEndpoint"]["NetworkInterfaceIds"]}),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": Binding(
        "elbv2", "create_load_balancer", "LoadBalancers[0].LoadBalancerArn", name="Name",
        arguments=without("LoadBalancerAttributes", "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"),
        then=set_attributes("LoadBalancer"),
        attributes=lambda ref, values: values["LoadBalancers"][0] | {
            "LoadBalancerFullName": ref.partition("loadbalancer/")[2]
        }),
    "AWS::ElasticLoadBalancingV2::TargetGroup": Binding(
        "elbv2", "create_target_group", "TargetGroups[0].TargetGroupArn", name="Name",
        arguments=without("Targets", "TargetGroupAttributes"), then=set_attributes("TargetGroup"),
        attributes=lambda ref, _: {"TargetGroupFullName": ref.rpartition(":")[2]}),
    "AWS::ElasticLoadBalancingV2::Listener": Binding("elbv2", "create_listener", "Listeners[0].ListenerArn"),
    # moto lacks all of the following.
    "AWS::EC2::SecurityGroupEgress": Binding(
        "ec2", "authorize_security_group_egress", "GroupId", "revoke_security_group_egress", arguments=egress),
    "AWS::EC2::VPCEndpointService": Binding(
        "ec2", "create_vpc_endpoint_service_configuration", "ServiceConfiguration.ServiceId"),
    "AWS::EC2::VPCEndpointServicePermissions": Binding(
        "ec2", "modify_vpc_endpoint_service_permissions", "ServiceId",
        delete="modify_vpc_endpoint_service_permissions",  # changes nothing: they go with their service
        arguments=lambda p: {"ServiceId": p["ServiceId"], "AddAllowedPrincipals": p["AllowedPrincipals"]}),
    "AWS::ApiGatewayV2::Api": Binding("apigatewayv2", "create_api", "ApiId"),
    "AWS::ApiGatewayV2::VpcLink": Binding("apigatewayv2", "create_vpc_link", "VpcLinkId"),
    "AWS::ApiGatewayV2::Integration": Binding(
        "apigatewayv2", "create_integration", "IntegrationId", arguments=integration),
    "AWS::ApiGatewayV2::Route": Binding("apigatewayv2", "create_route", "RouteId"),
    "AWS::ApiGatewayV2::Stage": Binding("apigatewayv2", "create_stage", "StageName"),
    "AWS::ApiGatewayV2::Authorizer": Binding("apigatewayv2", "create_authorizer", "AuthorizerId"),
    "AWS::ApplicationAutoScaling::ScalableTarget": Binding(
        "application-autoscaling", "register_scalable_target", f"join('|', [{', '.join(TARGET)}])",
        "deregister_scalable_target"),
    "AWS::ApplicationAutoScaling::ScalingPolicy": Binding(
        "application-autoscaling", "put_scaling_policy", "PolicyARN", "delete_scaling_policy", "PolicyName",
        arguments=scaling_policy),
    "AWS::AutoScaling::ScalingPolicy": Binding(
        "autoscaling", "put_scaling_policy", "PolicyName", "delete_policy", "PolicyName"),
    "AWS::CloudWatch::Alarm": Binding(
        "cloudwatch", "put_metric_alarm", "AlarmName", "delete_alarms", "AlarmName"),
    "AWS::Logs::MetricFilter": Binding(
        "logs", "put_metric_filter", "filterName", "delete_metric_filter", "FilterName", arguments=lowered),
    "Custom::AWS": SdkCall("", "", ""),
    "AWS::CloudFormation::WaitCondition": Signalled("", "", "{name}"),
    "AWS::CloudFormation::WaitConditionHandle": Recorded(
        "", "", "https://cloudformation-waitcondition-{region}.s3.{region}.amazonaws.com/{name}"),
    # Nothing asks for a name.
    **dict.fromkeys(
        (f"AWS::Route53Resolver::Firewall{kind}" for kind in ("DomainList", "RuleGroup", "RuleGroupAssociation")),
        Recorded("", "", "{name}")),
    # moto ignores the condition of the bootstrap bucket's Deny, which would then deny everything.
    "AWS::S3::BucketPolicy": Recorded("", "", "{name}"),
}  # fmt: skip


def resource_class(resource_type: str) -> Any:
    """AWS refuses a type that it does not know; moto would leave the resource out and go on."""
    if binding := BINDINGS.get(resource_type) or parsing.get_model_map().get(resource_type):
        return binding
    raise ValidationError(message=f"Template format error: Unrecognized resource types: [{resource_type}]")


class RefuseWhatMotoSkips(logging.Filter):
    """moto warns of a Fn::GetAtt that it does not know and drops the property; a deploy must fail instead."""

    def filter(self, record: logging.LogRecord) -> bool:
        raise ValidationError(message=record.getMessage())


class ResourceFailed(Exception):
    """The reason why a resource could not be made or deleted, and which one it was."""

    def __init__(self, logical_id: str, definition: Any, reason: Exception) -> None:
        super().__init__(getattr(reason, "message", None) or str(reason) or repr(reason))
        self.logical_id, self.type = logical_id, definition["Type"]


def create_resource(logical_id: str, resource_json: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return create_resource_in_moto(logical_id, resource_json, *args, **kwargs)
    except ResourceFailed:
        raise  # a resource that this one refers to
    except Exception as error:
        raise ResourceFailed(logical_id, resource_json, error) from error


def delete_resources(self: parsing.ResourceMap) -> None:
    """CloudFormation goes backwards through the dependencies and stops; moto takes any order and retries."""
    # Only what was made stays known: moto makes a known resource when somebody asks for it.
    known = self._resource_json_map
    self._resource_json_map = {name: known[name] for name in self._parsed_resources if name in known}
    for name, definition in reversed(list(self._resource_json_map.items())):
        if definition.get("DeletionPolicy") == "Retain":
            continue  # AWS goes on listing it, as DELETE_SKIPPED
        try:
            self._delete_resource(self._parsed_resources[name], definition)
        except Exception as error:
            raise ResourceFailed(name, definition, error) from error
        del self._parsed_resources[name], self._resource_json_map[name]


def report(stack: models.Stack, status: str, error: Exception | None = None) -> None:
    """What the CDK CLI reads: the stack's status, and an event that names the resource and the reason."""
    stack.status = status
    stack._add_stack_event(status, resource_status_reason=str(error) if error else None)
    if isinstance(error, ResourceFailed):
        stack.events[-1].logical_resource_id, stack.events[-1].resource_type = error.logical_id, error.type


def create_change_set(self: models.CloudFormationBackend, **arguments: Any) -> tuple[str, str]:
    for resource in models.Stack.parse_template(arguments["template"])["Resources"].values():
        resource_class(resource["Type"])  # AWS refuses unknown types here, before anything is made
    # A name is unique in its stack; moto finds any stack's. Others have been executed: forget them.
    for arn, known in list(self.change_sets.items()):
        if known.change_set_name == arguments["change_set_name"]:
            del self.change_sets[arn]
    return create_change_set_in_moto(self, **arguments)


def execute_change_set(self: models.CloudFormationBackend, change_set_name: str, **_: Any) -> None:
    """moto loses outputs and exports, and answers a failed resource with 500; AWS rolls the stack back."""
    change_set = self.describe_change_set(change_set_name)
    if change_set is None:
        raise ValidationError(message=f"ChangeSet [{change_set_name}] does not exist")
    stack, kind = change_set.stack, change_set.change_set_type
    change_set.execution_status = "EXECUTE_COMPLETE"
    try:
        if kind == "UPDATE":
            stack.update(change_set.template, stack.role_arn, change_set.parameters)
            return
        stack.template, stack.parameters = change_set.template, change_set.parameters
        stack._add_stack_event("CREATE_IN_PROGRESS", resource_status_reason="User Initiated")
        stack._parse_template()
        stack.cross_stack_resources = self.exports
        stack.resource_map = stack._create_resource_map()
        stack.output_map = stack._create_output_map()
        stack.create_resources()
        self.exports.update((export.name, export) for export in stack.exports)
    except Exception as error:
        report(stack, f"{kind}_FAILED", error)
        if kind == "CREATE":
            end_of(stack.resource_map.delete, stack, "ROLLBACK")


def delete_stack(self: models.CloudFormationBackend, name_or_stack_id: str) -> None:
    """CloudFormation keeps a stack whose deletion fails; moto loses it."""
    for stack in [each for each in self.stacks.values() if name_or_stack_id in (each.name, each.stack_id)]:
        for export in stack.exports:
            self.exports.pop(export.name, None)
        if end_of(stack.resource_map.delete, stack, "DELETE"):
            self.deleted_stacks[stack.stack_id] = self.stacks.pop(stack.stack_id)


def end_of(deletion: Callable[[], None], stack: models.Stack, kind: str) -> bool:
    stack.output_map = parsing.OutputMap(stack.resource_map, {}, stack.stack_id)
    try:
        deletion()
    except Exception as error:
        report(stack, f"{kind}_FAILED", error)
        return False
    report(stack, f"{kind}_COMPLETE")
    return True


def install() -> None:
    parsing.resource_class_from_type = resource_class
    parsing.get_name_type_map().update({name: binding.name for name, binding in BINDINGS.items()})
    parsing.parse_and_create_resource = create_resource
    parsing.ResourceMap.delete = delete_resources  # type: ignore[method-assign]
    logging.getLogger("moto").addFilter(RefuseWhatMotoSkips())
    for function in (create_change_set, execute_change_set, delete_stack):
        setattr(models.CloudFormationBackend, function.__name__, function)
