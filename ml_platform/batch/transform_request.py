"""What a transform job of ours asks SageMaker for. Pure: sending it is ``aws.transform_jobs``."""

from typing import TYPE_CHECKING, cast

from ml_platform.core import names
from ml_platform.core.settings import Settings
from ml_platform.modeling.contract import CSV

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.literals import TransformInstanceTypeType
    from mypy_boto3_sagemaker.type_defs import CreateTransformJobRequestTypeDef

MAX_PAYLOAD_MB = 6


def transform_job_request(
    settings: Settings, *, model: str, sagemaker_model: str, fingerprint: str, input_uri: str, output_uri: str
) -> "CreateTransformJobRequestTypeDef":
    """Build the request that scores CSV rows of an id and the features, and yields rows of the id and the score.

    Args:
        settings: Instance type.
        model: Our name of the model.
        sagemaker_model: The SageMaker model that scores.
        fingerprint: Over rows and model package; the job's name is made of it.
        input_uri: S3 address of the CSV, without a header line.
        output_uri: S3 prefix for the answer.
    """
    return {
        "TransformJobName": names.transform_job(model, fingerprint),
        "ModelName": sagemaker_model,
        "BatchStrategy": "MultiRecord",
        "MaxPayloadInMB": MAX_PAYLOAD_MB,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": input_uri}},
            "ContentType": CSV,
            "CompressionType": "None",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": output_uri, "Accept": CSV, "AssembleWith": "Line"},
        "TransformResources": {
            "InstanceType": cast("TransformInstanceTypeType", settings.hosting_instance_type),
            "InstanceCount": 1,
        },
        # The model never sees the id; the answer carries it, so that scores are joined by id and not by position.
        "DataProcessing": {"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"},
        "Tags": [{"Key": "ml-platform:model", "Value": model}],
    }
