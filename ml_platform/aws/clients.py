"""One function per boto3 client, with retries and timeouts that suit a platform and not a script.

Each client has a session of its own: boto3's default session must not be used by two threads at once.
Endpoint addresses and credentials come from boto3's own environment variables and chains.
"""

from functools import cache
from typing import TYPE_CHECKING

from boto3.session import Session
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sts import STSClient

CONTROL = Config(
    retries={"mode": "standard", "max_attempts": 8},
    connect_timeout=5,
    read_timeout=60,
    user_agent_extra="ml-platform",
)
# SageMaker gives a model 60 s to answer; the socket must outlive that, and a retry would score twice.
RUNTIME = Config(
    retries={"mode": "standard", "max_attempts": 2},
    connect_timeout=5,
    read_timeout=70,
    max_pool_connections=32,
    user_agent_extra="ml-platform",
)
# A payment waits for its features: an answer that takes seconds is worth nothing.
DYNAMODB = Config(
    retries={"mode": "standard", "max_attempts": 3},
    connect_timeout=2,
    read_timeout=5,
    max_pool_connections=32,
    user_agent_extra="ml-platform",
)


@cache
def s3(region: str) -> "S3Client":
    """Return the S3 client of a region."""
    return Session().client("s3", region_name=region, config=CONTROL)


@cache
def sagemaker(region: str) -> "SageMakerClient":
    """Return the SageMaker control-plane client of a region."""
    return Session().client("sagemaker", region_name=region, config=CONTROL)


@cache
def sagemaker_runtime(region: str) -> "SageMakerRuntimeClient":
    """Return the client that invokes endpoints in a region."""
    return Session().client("sagemaker-runtime", region_name=region, config=RUNTIME)


@cache
def logs(region: str) -> "CloudWatchLogsClient":
    """Return the CloudWatch Logs client of a region."""
    return Session().client("logs", region_name=region, config=CONTROL)


@cache
def cloudwatch(region: str) -> "CloudWatchClient":
    """Return the CloudWatch client of a region."""
    return Session().client("cloudwatch", region_name=region, config=CONTROL)


@cache
def dynamodb(region: str) -> "DynamoDBClient":
    """Return the DynamoDB client of a region."""
    return Session().client("dynamodb", region_name=region, config=DYNAMODB)


@cache
def kinesis(region: str) -> "KinesisClient":
    """Return the Kinesis client of a region."""
    return Session().client("kinesis", region_name=region, config=CONTROL)


@cache
def secrets(region: str) -> "SecretsManagerClient":
    """Return the Secrets Manager client of a region."""
    return Session().client("secretsmanager", region_name=region, config=CONTROL)


@cache
def sts(region: str) -> "STSClient":
    """Return the client that says who the caller is."""
    return Session().client("sts", region_name=region, config=CONTROL)


def forget_clients() -> None:
    """Drop every client, so that the next one reads addresses and credentials from the environment anew."""
    for client in (s3, sagemaker, sagemaker_runtime, logs, cloudwatch, dynamodb, kinesis, secrets, sts):
        client.cache_clear()
