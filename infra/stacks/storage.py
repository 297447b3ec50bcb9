"""Storage: the data bucket, its access logs and their key. Stateful: nothing here is deleted with the stack."""

from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.environments import Environment

AUDIT_PREFIX = "audit/*"


class StorageStack(Stack):
    """One bucket for tables, training sets, artifacts and captured traffic."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(scope, construct_id)
        key = kms.Key(
            self,
            "Key",
            alias=f"ml-platform-{environment.name}-data",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        access_logs = s3.Bucket(
            self,
            "AccessLogs",
            # S3 delivers access logs only to buckets with S3-managed keys.
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[s3.LifecycleRule(expiration=Duration.days(environment.log_retention_days))],
            removal_policy=RemovalPolicy.RETAIN,
        )
        self.data = s3.Bucket(
            self,
            "Data",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            versioned=True,
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix="data/",
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="captured-requests",
                    prefix="capture/",
                    expiration=Duration.days(environment.capture_retention_days),
                ),
                s3.LifecycleRule(id="replaced-versions", noncurrent_version_expiration=Duration.days(90)),
                s3.LifecycleRule(id="abandoned-uploads", abort_incomplete_multipart_upload_after=Duration.days(7)),
            ],
            removal_policy=RemovalPolicy.RETAIN,
        )
        for statement in append_only(self.data):
            self.data.add_to_resource_policy(statement)


def append_only(data: s3.IBucket) -> list[iam.PolicyStatement]:
    """Whoever it is: a record of the audit trail is written when there is none of its number, and never taken away."""
    everybody: dict[str, Any] = {
        "effect": iam.Effect.DENY,
        "principals": [iam.AnyPrincipal()],
        "resources": [data.arn_for_objects(AUDIT_PREFIX)],
    }
    return [
        iam.PolicyStatement(
            sid="NeverReplaceARecord",
            actions=["s3:PutObject"],
            conditions={"Null": {"s3:if-none-match": "true"}},
            **everybody,
        ),
        iam.PolicyStatement(
            sid="NeverDeleteARecord", actions=["s3:DeleteObject", "s3:DeleteObjectVersion"], **everybody
        ),
    ]
