"""What the job that measures a candidate in the serving image asks SageMaker for. Pure."""

from typing import TYPE_CHECKING, Any, cast

from ml_platform.core import names
from ml_platform.core.settings import Settings
from ml_platform.modeling.serving_cost import MODEL_INPUT, RESULT_FILE, RESULT_OUTPUT

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.literals import ProcessingInstanceTypeType

_PROCESSING = "/opt/ml/processing"
_VOLUME_GB = 5
MAX_SECONDS = 900


def result_key(model: str, fingerprint: str) -> str:
    """Return the S3 key of a candidate's serving cost."""
    return f"{_prefix(model, fingerprint)}{RESULT_FILE}"


def measuring_job_request(settings: Settings, *, model: str, fingerprint: str, artifact_uri: str) -> dict[str, Any]:
    """Build the processing job that serves an artifact to itself and times the answers.

    Args:
        settings: Role, serving image and hosting instance type: the gate wants to know what the endpoint will be like.
        model: Our name of the model.
        fingerprint: Of the candidate.
        artifact_uri: S3 address of its ``model.tar.gz``.
    """
    return {
        "RoleArn": settings.role_arn,
        "AppSpecification": {
            "ImageUri": settings.serving_image,
            "ContainerEntrypoint": ["python", "-m", "ml_platform.containers.serving.measure"],
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": cast("ProcessingInstanceTypeType", settings.hosting_instance_type),
                "InstanceCount": 1,
                "VolumeSizeInGB": _VOLUME_GB,
            }
        },
        "ProcessingInputs": [
            {
                "InputName": MODEL_INPUT,
                "S3Input": {
                    "S3Uri": artifact_uri,
                    "LocalPath": f"{_PROCESSING}/{MODEL_INPUT}",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": RESULT_OUTPUT,
                    "S3Output": {
                        "S3Uri": f"s3://{settings.bucket}/{_prefix(model, fingerprint)}",
                        "LocalPath": f"{_PROCESSING}/{RESULT_OUTPUT}",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": MAX_SECONDS},
        "Tags": [{"Key": "ml-platform:model", "Value": model}],
    }


def _prefix(model: str, fingerprint: str) -> str:
    return f"{names.model_prefix(model, 'serving-costs')}{fingerprint}/"
