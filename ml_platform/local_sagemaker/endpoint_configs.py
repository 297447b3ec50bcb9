"""Endpoint configs: which models serve, on how many instances, with what weights, and what is captured.

A config is inert: it may hold what the stand-in does not run (managed instance scaling). ``hosting`` refuses to
deploy such a config; nothing is quietly left out.
"""

from typing import Any

from ml_platform.local_sagemaker.objects import Location, ObjectsError
from ml_platform.local_sagemaker.paging import Listing, list_page
from ml_platform.local_sagemaker.serverless import require_serverless_rules
from ml_platform.local_sagemaker.service import Request, Response, Service, not_found, operation, validation
from ml_platform.local_sagemaker.store import DuplicateError
from ml_platform.local_sagemaker.tags import drop_tags, put_tags

KIND = "endpoint-config"
LISTING = Listing(kind=KIND, member="EndpointConfigs")
MODEL_KIND = "model"


@operation("CreateEndpointConfig")
async def create_endpoint_config(service: Service, request: Request) -> Response:
    """Store an endpoint config after checking that its models exist."""
    name = request["EndpointConfigName"]
    arn = service.arn(KIND, name)
    variants = [*request["ProductionVariants"], *request.get("ShadowProductionVariants", [])]
    _require_unique_names(variants)
    for variant in variants:
        _complete_variant(service, variant)
    require_serverless_rules(request)
    _require_async_outputs(service, request.get("AsyncInferenceConfig"))
    if "DataCaptureConfig" in request:
        _require_s3(request["DataCaptureConfig"]["DestinationS3Uri"])
    body = {**request, "EndpointConfigArn": arn, "CreationTime": service.clock.timestamp()}
    body.pop("Tags", None)
    try:
        service.store.insert(KIND, name, body)
    except DuplicateError as error:
        raise validation(f'Cannot create already existing endpoint configuration "{arn}".') from error
    put_tags(service, arn, request.get("Tags"))
    return {"EndpointConfigArn": arn}


@operation("DescribeEndpointConfig")
async def describe_endpoint_config(service: Service, request: Request) -> Response:
    """Return an endpoint config."""
    return require_endpoint_config(service, request["EndpointConfigName"])


@operation("ListEndpointConfigs")
async def list_endpoint_configs(service: Service, request: Request) -> Response:
    """Return a page of endpoint configs."""
    return list_page(service, LISTING, request)


@operation("DeleteEndpointConfig")
async def delete_endpoint_config(service: Service, request: Request) -> Response:
    """Delete an endpoint config. Endpoints that were made from it keep serving."""
    body = require_endpoint_config(service, request["EndpointConfigName"])
    service.store.delete(KIND, request["EndpointConfigName"])
    drop_tags(service, body["EndpointConfigArn"])
    return {}


def require_endpoint_config(service: Service, name: str) -> dict[str, Any]:
    """Return an endpoint config's body.

    Raises:
        AwsError: When there is none of this name.
    """
    body = service.store.get(KIND, name)
    if body is None:
        raise not_found(f'Could not find endpoint configuration "{service.arn(KIND, name)}".')
    return body


def _require_unique_names(variants: list[dict[str, Any]]) -> None:
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        raise validation(f"Variant names must be unique within an endpoint configuration: {', '.join(names)}.")


def _complete_variant(service: Service, variant: dict[str, Any]) -> None:
    """Check what botocore's model cannot say about a variant, and add AWS's default."""
    name = variant["VariantName"]
    if "ModelName" not in variant:
        raise validation(f"ModelName is required for production variant {name}.")
    if service.store.get(MODEL_KIND, variant["ModelName"]) is None:
        raise not_found(f'Could not find model "{service.arn(MODEL_KIND, variant["ModelName"])}".')
    has_instances = "InitialInstanceCount" in variant and ("InstanceType" in variant or "InstancePools" in variant)
    if has_instances == ("ServerlessConfig" in variant):
        raise validation(
            f"Production variant {name} must have either InstanceType and InitialInstanceCount or ServerlessConfig."
        )
    variant.setdefault("InitialVariantWeight", 1.0)


def _require_async_outputs(service: Service, config: dict[str, Any] | None) -> None:
    output = (config or {}).get("OutputConfig", {})
    for member in ("S3OutputPath", "S3FailurePath"):
        if member in output:
            _require_s3(output[member], "AsyncInferenceConfig")
    for member in ("SuccessTopic", "ErrorTopic"):
        topic = output.get("NotificationConfig", {}).get(member)
        if topic and topic.split(":")[3] != service.region:
            raise validation(f"AsyncInferenceConfig cannot be used: {member} {topic} is not in {service.region}.")


def _require_s3(uri: str, member: str = "DataCaptureConfig") -> None:
    try:
        Location.parse(uri)
    except ObjectsError as error:
        raise validation(f"{member} cannot be used: {error}.") from error
