"""What tools/flows.py knows about resources: any other type, property or value is an error that names the resource.

So whatever might open a way that nobody computes is looked at by somebody first, who then adds it here.
"""

from __future__ import annotations

import re
from typing import Any

from tools.template import Properties, Template, TemplateError

VPC, ELB, API = "AWS::EC2", "AWS::ElasticLoadBalancingV2", "AWS::ApiGatewayV2"
DNS = "AWS::Route53Resolver::Firewall"
# Types that carry none of the VPC's traffic.
NO_TRAFFIC = re.compile(
    rf"AWS::(IAM|Logs|CloudWatch|SNS|ApplicationAutoScaling)::\w+|{API}::(Route|Stage|Authorizer)|AWS::ECS::Cluster"
    r"|AWS::AutoScaling::ScalingPolicy|AWS::DynamoDB::Table|AWS::CloudFormation::WaitCondition(Handle)?|Custom::AWS"
)
# Of a property that has to be there, and of one that may be: it changes nothing, or flows.py reads it if it is there.
# Else a shape holds the value that is expected (or a tuple of them), the shape of a table, or in brackets that of each element of a list.
NEEDED, ALLOWED = object(), object()
_RULE = {"IpProtocol": NEEDED, "CidrIp Description FromPort ToPort": ALLOWED}
_INGRESS = {**_RULE, "SourceSecurityGroupId": ALLOWED}
_EGRESS = {**_RULE, "DestinationSecurityGroupId": ALLOWED}
_STATEMENT = {
    "Effect": "Allow",
    "Principal": {"AWS": "*"},
    "Action Resource": NEEDED,
    "Condition": {"StringEquals": {"aws:PrincipalAccount": ALLOWED}},
}
SHAPES: dict[str, dict[str, Any]] = {
    f"{VPC}::VPC": {"CidrBlock EnableDnsHostnames EnableDnsSupport InstanceTenancy": ALLOWED},
    f"{VPC}::Subnet": {"MapPublicIpOnLaunch": False, "AvailabilityZoneId CidrBlock VpcId": ALLOWED},
    f"{VPC}::RouteTable": {"VpcId": ALLOWED},
    f"{VPC}::SubnetRouteTableAssociation": {"RouteTableId SubnetId": NEEDED},
    f"{VPC}::Route": {
        "RouteTableId": NEEDED,
        "DestinationCidrBlock GatewayId NatGatewayId TransitGatewayId VpcPeeringConnectionId": ALLOWED,
    },
    f"{VPC}::SecurityGroup": {
        "GroupDescription": NEEDED,
        "SecurityGroupEgress": [_EGRESS],
        "SecurityGroupIngress": [_INGRESS],
        "VpcId": ALLOWED,
    },
    f"{VPC}::SecurityGroupEgress": {"GroupId": NEEDED, **_EGRESS},
    f"{VPC}::SecurityGroupIngress": {"GroupId": NEEDED, **_INGRESS},
    f"{VPC}::VPCEndpoint": {
        "ServiceName": NEEDED,
        "VpcEndpointType": ("Gateway", "Interface"),
        "PolicyDocument": {"Statement": [_STATEMENT], "Version": ALLOWED},
        "PrivateDnsEnabled RouteTableIds SecurityGroupIds SubnetIds VpcId": ALLOWED,
    },
    f"{VPC}::VPCEndpointService": {"NetworkLoadBalancerArns": NEEDED, "AcceptanceRequired": ALLOWED},
    f"{VPC}::VPCEndpointServicePermissions": {"AllowedPrincipals ServiceId": NEEDED},
    f"{VPC}::LaunchTemplate": {
        "LaunchTemplateData": {
            "SecurityGroupIds": NEEDED,
            "BlockDeviceMappings IamInstanceProfile ImageId InstanceType MetadataOptions": ALLOWED,
            "TagSpecifications UserData": ALLOWED,
        },
        "TagSpecifications": ALLOWED,
    },
    f"{DNS}DomainList": {"Domains": NEEDED},
    f"{DNS}RuleGroup": {
        "FirewallRules": [
            {
                "Action": ("ALLOW", "BLOCK"),
                "FirewallDomainListId Priority": NEEDED,
                "BlockResponse FirewallDomainRedirectionAction": ALLOWED,
            }
        ]
    },
    f"{DNS}RuleGroupAssociation": {"FirewallRuleGroupId VpcId": NEEDED, "Priority": ALLOWED},
    f"{ELB}::LoadBalancer": {
        "Scheme": "internal",
        "Type": "network",
        "SecurityGroups Subnets": NEEDED,
        "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic LoadBalancerAttributes": ALLOWED,
    },
    f"{ELB}::Listener": {
        "Protocol": "TCP",
        "LoadBalancerArn Port": NEEDED,
        "DefaultActions": [{"Type": "forward", "TargetGroupArn": NEEDED}],
    },
    f"{ELB}::TargetGroup": {
        "Protocol": "TCP",
        "Port": NEEDED,
        "Targets": [{"Id Port": NEEDED}],
        "HealthCheckIntervalSeconds HealthCheckPath HealthCheckProtocol HealthCheckTimeoutSeconds": ALLOWED,
        "HealthyThresholdCount TargetGroupAttributes TargetType UnhealthyThresholdCount VpcId": ALLOWED,
    },
    f"{API}::Api": {"ProtocolType": "HTTP", "CorsConfiguration Name": ALLOWED},
    f"{API}::VpcLink": {"SecurityGroupIds SubnetIds": NEEDED, "Name": ALLOWED},
    f"{API}::Integration": {
        "ConnectionType": "VPC_LINK",
        "IntegrationType": "HTTP_PROXY",
        "ConnectionId IntegrationUri": NEEDED,
        "ApiId IntegrationMethod PayloadFormatVersion RequestParameters TimeoutInMillis": ALLOWED,
    },
    "AWS::ECS::TaskDefinition": {
        "NetworkMode": "awsvpc",
        "ContainerDefinitions Cpu ExecutionRoleArn Family Memory RequiresCompatibilities": ALLOWED,
        "RuntimePlatform TaskRoleArn": ALLOWED,
    },
    "AWS::ECS::Service": {
        "LaunchType": "FARGATE",
        "LoadBalancers": [{"ContainerPort TargetGroupArn": NEEDED, "ContainerName": ALLOWED}],
        "NetworkConfiguration": {
            "AwsvpcConfiguration": {"AssignPublicIp": "DISABLED", "SecurityGroups Subnets": NEEDED}
        },
        "Cluster DeploymentConfiguration DeploymentController DesiredCount EnableECSManagedTags": ALLOWED,
        "HealthCheckGracePeriodSeconds PropagateTags TaskDefinition": ALLOWED,
    },
    "AWS::AutoScaling::AutoScalingGroup": {
        "LaunchTemplate": {"LaunchTemplateId": NEEDED, "Version": ALLOWED},
        "VPCZoneIdentifier": NEEDED,
        "DefaultInstanceWarmup DesiredCapacity HealthCheckGracePeriod HealthCheckType": ALLOWED,
        "InstanceMaintenancePolicy": ALLOWED,
        "MaxInstanceLifetime MaxSize MetricsCollection MinSize TargetGroupARNs": ALLOWED,
    },
    "AWS::Lambda::Function": {  # has no VpcConfig: it runs outside the VPC
        "Architectures Code Handler LoggingConfig MemorySize Role Runtime Timeout": ALLOWED,
    },
}


def check(template: Template) -> None:
    """TemplateError for the first resource that has not one of the shapes above."""
    for resource in template:
        if resource.type in SHAPES:
            _check(template.read(resource), {**SHAPES[resource.type], "Tags": ALLOWED})
        elif not NO_TRAFFIC.fullmatch(resource.type):
            raise TemplateError(
                f"{resource.logical_id}: type {resource.type} is not known to tools/shapes.py"
            )


def _check(properties: Properties, shape: dict[str, Any]) -> None:
    with properties:
        for names, inner in shape.items():
            if inner is ALLOWED:
                properties.ignore(*names.split())
            elif inner is NEEDED:
                for name in names.split():
                    properties.take(name)
            elif isinstance(inner, dict):
                _check(properties.table(names, {}), inner)
            elif isinstance(inner, list):
                for each in properties.tables(names, []):
                    _check(each, inner[0])
            else:
                properties.expect(names, *(inner if isinstance(inner, tuple) else [inner]))
