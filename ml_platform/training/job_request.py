"""What a training job of ours asks SageMaker for. Pure: sending it is ``aws.training_jobs``."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from ml_platform.core import names
from ml_platform.core.settings import Settings
from ml_platform.modeling.contract import CODE_CHANNEL, TRAIN_CHANNEL, VALIDATION_CHANNEL

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.literals import TrainingInstanceTypeType
    from mypy_boto3_sagemaker.type_defs import ChannelTypeDef, CreateTrainingJobRequestTypeDef, MetricDefinitionTypeDef

PARQUET = "application/x-parquet"
PYTHON = "text/x-python"
VOLUME_GB = 30
# What the training container reports of each channel, as lines `name=value;`.
METRICS = tuple(
    f"{channel}:{metric}"
    for channel in (TRAIN_CHANNEL, VALIDATION_CHANNEL)
    for metric in ("rows", "positives", "average_precision", "roc_auc")
)


def training_job_request(
    settings: Settings,
    *,
    model: str,
    fingerprint: str,
    channels: Mapping[str, str],
    hyperparameters: Mapping[str, str],
    metrics: Sequence[str] = METRICS,
) -> "CreateTrainingJobRequestTypeDef":
    """Build the request for the training job whose inputs have this fingerprint.

    Args:
        settings: Role, image, instance type, time limit, region and bucket.
        model: Our name of the model.
        fingerprint: Over everything the outcome depends on; the job's name is made of it.
        channels: Channel name to the S3 address of its prefix, e.g. ``train`` and ``validation``.
        hyperparameters: Strings to strings, as SageMaker wants them.
        metrics: Metrics that the container prints as ``name=value;``.
    """
    return {
        "TrainingJobName": names.training_job(model, fingerprint),
        "RoleArn": settings.role_arn,
        "AlgorithmSpecification": {
            "TrainingImage": settings.training_image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [metric_definition(name) for name in metrics],
        },
        "HyperParameters": dict(hyperparameters),
        "InputDataConfig": [channel(name, uri) for name, uri in sorted(channels.items())],
        "OutputDataConfig": {
            "S3OutputPath": f"s3://{settings.bucket}/{names.model_prefix(model, 'artifacts').rstrip('/')}"
        },
        "ResourceConfig": {
            "InstanceType": cast("TrainingInstanceTypeType", settings.training_instance_type),
            "InstanceCount": 1,
            "VolumeSizeInGB": VOLUME_GB,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": settings.max_training_seconds},
        "Tags": [{"Key": "ml-platform:model", "Value": model}],
        # Everything the container needs comes in as hyper-parameters, which DescribeTrainingJob shows to reviewers.
        "Environment": {},
    }


def channel(name: str, uri: str) -> "ChannelTypeDef":
    """Build one input channel of the files under an S3 prefix: Parquet, or the model's own training code."""
    return {
        "ChannelName": name,
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
        },
        "ContentType": PYTHON if name == CODE_CHANNEL else PARQUET,
        "CompressionType": "None",
        "InputMode": "File",
    }


def metric_definition(name: str) -> "MetricDefinitionTypeDef":
    """Build the rule by which SageMaker finds a metric in the container's lines ``name=value;``."""
    return {"Name": name, "Regex": re.escape(name) + r"=([-+0-9.eE]+);"}
