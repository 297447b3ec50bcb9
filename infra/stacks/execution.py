"""The role that jobs and endpoints run as: what SageMaker does for the platform inside a container's life.

Who may start jobs is ``jobs``, who may deploy ``endpoints``: both may lend SageMaker this role and no other.
"""

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.environments import Environment

# What a container reads and writes: never tables, never the audit trail.
READS, WRITES = ("models/*", "pipes/*"), ("models/*", "pipes/*", "capture/*")


class ExecutionStack(Stack):
    """The role itself; its name is the setting ML_PLATFORM_ROLE_ARN."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment, data: s3.IBucket) -> None:
        super().__init__(scope, construct_id)
        self.role = iam.Role(
            self,
            "Jobs",
            role_name=environment.job_role,
            # SageMaker on behalf of this account, and of no other.
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": self.account}}
            ),
        )
        key = data.encryption_key
        if key is None:
            raise ValueError("the data bucket has no key of its own")
        for statement in (
            _allow("ReadInputs", ["s3:GetObject"], [data.arn_for_objects(prefix) for prefix in READS]),
            _allow("WriteResults", ["s3:PutObject"], [data.arn_for_objects(prefix) for prefix in WRITES]),
            _allow("FindInputs", ["s3:ListBucket"], [data.bucket_arn], {"StringLike": {"s3:prefix": list(READS)}}),
            _allow("UseTheBucketsKey", ["kms:Decrypt", "kms:GenerateDataKey"], [key.key_arn]),
            self._pull(environment.image_repositories),
            # A token is for the whole registry; what it opens is PullImages.
            _allow("SignInToTheImageRegistry", ["ecr:GetAuthorizationToken"], ["*"]),
            self._log(),
            # Metrics have no ARN; the name space stands in for it.
            _allow(
                "PublishJobMetrics",
                ["cloudwatch:PutMetricData"],
                ["*"],
                {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
            ),
            # SageMaker reads the alarms of a rollout with this role, and rolls nothing back without it.
            _allow("WatchRollouts", ["cloudwatch:DescribeAlarms"], alarm_arns(self)),
        ):
            self.role.add_to_policy(statement)

    def _pull(self, repositories: str) -> iam.PolicyStatement:
        arn = self.format_arn(service="ecr", resource="repository", resource_name=repositories)
        actions = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]
        return _allow("PullImages", actions, [arn])

    def _log(self) -> iam.PolicyStatement:
        groups = self.format_arn(
            service="logs",
            resource="log-group",
            resource_name="/aws/sagemaker/*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        return _allow("WriteLogs", ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], [groups])


def alarm_arns(stack: Stack) -> list[str]:
    """Return the ARNs of the alarms that watch rollouts, and of no others: ``deployment.rollout_plan`` names them."""
    return [
        stack.format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name=f"*-{metric}",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        for metric in ("Invocation5XXErrors", "ModelLatency")
    ]


def _allow(
    sid: str, actions: list[str], resources: list[str], conditions: dict[str, dict[str, object]] | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, actions=actions, resources=resources, conditions=conditions)
