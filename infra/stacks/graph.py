"""What the process that runs the graph needs beside jobs: its bucket, logs of jobs, the registry, the online store."""

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.environments import Environment


class GraphStack(Stack):
    """One policy. The trail of decisions is append-only by the bucket's own policy (``storage``)."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment, data: s3.IBucket) -> None:
        super().__init__(scope, construct_id)
        key = data.encryption_key
        if key is None:
            raise ValueError("the data bucket has no key of its own")
        packages, groups = (
            self.format_arn(service="sagemaker", resource=kind, resource_name="*")
            for kind in ("model-package", "model-package-group")
        )
        logs = self.format_arn(
            service="logs",
            resource="log-group",
            resource_name="/aws/sagemaker/*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        tables = self.format_arn(service="dynamodb", resource="table", resource_name=environment.online_tables)
        self.graph = iam.ManagedPolicy(
            self,
            "Graph",
            managed_policy_name=f"ml-platform-{environment.name}-graph",
            statements=[
                _allow("ListTheBucket", ["s3:ListBucket"], data.bucket_arn),
                _allow("KeepObjects", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], data.arn_for_objects("*")),
                _allow("UseTheBucketsKey", ["kms:Decrypt", "kms:GenerateDataKey"], key.key_arn),
                _allow("ReadLogsOfJobs", ["logs:DescribeLogStreams", "logs:GetLogEvents"], logs),
                _allow("ReadModels", ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"], packages),
                _allow("GroupModels", ["sagemaker:CreateModelPackageGroup", "sagemaker:AddTags"], groups),
                _allow(
                    "ServeFeatures",
                    [
                        f"dynamodb:{call}"
                        for call in (
                            *("BatchGetItem", "PutItem"),
                            *("CreateTable", "DescribeTable", "DeleteTable", "UpdateTimeToLive"),
                        )
                    ],
                    tables,
                ),
            ],
        )


def _allow(sid: str, actions: list[str], resource: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, actions=actions, resources=[resource])
