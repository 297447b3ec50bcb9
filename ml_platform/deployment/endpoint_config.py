"""What a deployment of ours asks SageMaker for. Pure: sending it is ``aws.endpoints``, the order is ``rollout``."""

from typing import TYPE_CHECKING, cast

from ml_platform.core import names
from ml_platform.core.fingerprint import fingerprint_json
from ml_platform.core.settings import Settings
from ml_platform.modeling.contract import CSV, JSON, JSON_LINES

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.literals import ProductionVariantInstanceTypeType
    from mypy_boto3_sagemaker.type_defs import (
        CreateEndpointConfigInputTypeDef,
        DataCaptureConfigTypeDef,
        ProductionVariantTypeDef,
    )

# The same in every config: metrics, alarms and captured traffic of all versions line up under it.
VARIANT = "primary"


def deployed_name(settings: Settings, *, model: str, version: int, package_arn: str, instance_count: int = 1) -> str:
    """Return the name of the SageMaker model and endpoint config that serve a package as the settings say.

    The fingerprint covers everything in the config, so an existing config of this name is the one we want.
    """
    content = {
        "package": package_arn,
        "role": settings.role_arn,
        "variant": production_variant(settings, model_name="", instance_count=instance_count),
        "capture": data_capture(settings, model),
    }
    return names.deployed_model(model, version, fingerprint_json(content))


def production_variant(settings: Settings, *, model_name: str, instance_count: int = 1) -> "ProductionVariantTypeDef":
    """Build the one variant that gets all traffic."""
    return {
        "VariantName": VARIANT,
        "ModelName": model_name,
        "InstanceType": cast("ProductionVariantInstanceTypeType", settings.hosting_instance_type),
        "InitialInstanceCount": instance_count,
        "InitialVariantWeight": 1.0,
    }


def data_capture(settings: Settings, model: str) -> "DataCaptureConfigTypeDef":
    """Build the capture of every request and answer; listed content types are stored readable, others as base64."""
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{settings.bucket}/{names.capture_prefix(model)}".rstrip("/"),
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "CsvContentTypes": [CSV],
            "JsonContentTypes": [JSON, JSON_LINES],
        },
    }


def endpoint_config_request(
    settings: Settings, *, model: str, name: str, instance_count: int = 1
) -> "CreateEndpointConfigInputTypeDef":
    """Build the endpoint config ``name`` for the SageMaker model of the same name."""
    return {
        "EndpointConfigName": name,
        "ProductionVariants": [production_variant(settings, model_name=name, instance_count=instance_count)],
        "DataCaptureConfig": data_capture(settings, model),
        "Tags": [{"Key": "ml-platform:model", "Value": model}],
    }
