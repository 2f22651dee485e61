"""The service: two Fargate tasks on ARM that run one container each."""

from typing import cast

from aws_cdk import Duration, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from common.endpoint_service import PORT
from common.network import Network
from common.stack import acknowledge, closed_security_group, log_group
from infra.settings import SERVICE, EcsSettings

TASKS = 2


class ContainerService(Construct):
    """Runs the image of the settings' tag from the account's ECR repository; reaches the network's endpoints only."""

    def __init__(self, scope: Construct, id: str, *, network: Network, settings: EcsSettings) -> None:
        super().__init__(scope, id)
        self.security_group = closed_security_group(self, network.vpc, f"{SERVICE} tasks")
        network.allow_from(self.security_group)
        cluster = ecs.Cluster(self, "Cluster", vpc=network.vpc)
        reason = "Container Insights is paid; the NLB's HealthyHostCount shows running tasks"
        acknowledge(cluster, "AwsSolutions-ECS4", reason)
        self.logs = log_group(self)
        task = self._task(settings.image_tag)
        self.service = ecs.FargateService(
            self,
            "Service",
            cluster=cluster,
            task_definition=task,
            min_healthy_percent=100,
            max_healthy_percent=200,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            health_check_grace_period=Duration.seconds(60),
            security_groups=[self.security_group],
        )
        scaling = self.service.auto_scale_task_count(min_capacity=TASKS, max_capacity=3 * TASKS)
        scaling.scale_on_cpu_utilization("Cpu", target_utilization_percent=60)
        # An update must keep the count that scaling has set.
        cast(ecs.CfnService, self.service.node.find_child("Service")).desired_count = None
        # A first task that starts before its route or its right to ECR exists fails, and the circuit breaker rolls back.
        self.service.node.add_dependency(network, self.security_group, task)

    def _task(self, image_tag: str) -> ecs.FargateTaskDefinition:
        # The push step creates the repository, which outlives the stack: the stack only names it.
        repository = ecr.Repository.from_repository_name(self, "Repository", SERVICE)
        linux = ecs.LinuxParameters(self, "Linux")
        linux.drop_capabilities(ecs.Capability.ALL)
        arm = ecs.RuntimePlatform(
            cpu_architecture=ecs.CpuArchitecture.ARM64, operating_system_family=ecs.OperatingSystemFamily.LINUX
        )
        task = ecs.FargateTaskDefinition(self, "Task", cpu=256, memory_limit_mib=512, runtime_platform=arm)
        task.add_container(
            SERVICE,
            image=ecs.ContainerImage.from_ecr_repository(repository, image_tag),
            port_mappings=[ecs.PortMapping(container_port=PORT)],
            readonly_root_filesystem=True,
            user="65532:65532",
            linux_parameters=linux,
            # Fargate's maximum; longer than the drain (100 s) plus the longest request (8 s).
            stop_timeout=Duration.seconds(120),
            logging=ecs.LogDrivers.aws_logs(stream_prefix=SERVICE, log_group=self.logs),
        )
        # ECS may use both roles for tasks of this account alone. Sources: AmazonECS, task-iam-roles.html, and AWS's own example:
        # aws/agent-toolkit-for-aws, processing-s3-uploads-with-step-functions/references/iam-roles.md.
        own = {"StringEquals": {"aws:SourceAccount": Stack.of(self).account}}
        for role in (task.task_role, task.obtain_execution_role()):
            resource = cast(iam.CfnRole, role.node.default_child)
            resource.add_property_override("AssumeRolePolicyDocument.Statement.0.Condition", own)
        reason = "ecr:GetAuthorizationToken has no resource-level permission; the rest names its ARN"
        acknowledge(task, "AwsSolutions-IAM5[Resource::*]", reason)
        return task
