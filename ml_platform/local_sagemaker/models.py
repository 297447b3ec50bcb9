"""Models: an image and an artifact under a name, and how endpoints and transform jobs find what to run."""

import asyncio
from typing import Any, NamedTuple

from ml_platform.local_sagemaker.model_packages import find_package
from ml_platform.local_sagemaker.objects import ObjectsError
from ml_platform.local_sagemaker.paging import Listing, list_page
from ml_platform.local_sagemaker.service import (
    Request,
    Response,
    Service,
    not_found,
    operation,
    unsupported,
    validation,
)
from ml_platform.local_sagemaker.store import DuplicateError
from ml_platform.local_sagemaker.tags import drop_tags, put_tags

KIND = "model"
LISTING = Listing(kind=KIND, member="Models")


class ResolvedContainer(NamedTuple):
    """What a model runs."""

    image: str
    model_data_url: str | None
    environment: dict[str, str]


@operation("CreateModel")
async def create_model(service: Service, request: Request) -> Response:
    """Store a model after checking that its image, package and artifact exist."""
    name = request["ModelName"]
    arn = service.arn(KIND, name)
    resolved = _resolve(service, _only_container(request))
    if service.images.command(resolved.image, "serve") is None:
        raise validation(
            f"Requested image {resolved.image} not found. The stand-in's images file names no `serve` command for it."
        )
    if resolved.model_data_url is not None:
        await _require_artifact(service, resolved.model_data_url, request.get("ExecutionRoleArn", "the role"))
    body = {**request, "ModelArn": arn, "CreationTime": service.clock.timestamp()}
    body.pop("Tags", None)
    try:
        service.store.insert(KIND, name, body)
    except DuplicateError as error:
        raise validation(f'Cannot create already existing model "{arn}".') from error
    put_tags(service, arn, request.get("Tags"))
    return {"ModelArn": arn}


@operation("DescribeModel")
async def describe_model(service: Service, request: Request) -> Response:
    """Return a model."""
    return _require_model(service, request["ModelName"])


@operation("ListModels")
async def list_models(service: Service, request: Request) -> Response:
    """Return a page of models."""
    return list_page(service, LISTING, request)


@operation("DeleteModel")
async def delete_model(service: Service, request: Request) -> Response:
    """Delete a model. Endpoints that run it keep running, as on AWS."""
    body = _require_model(service, request["ModelName"])
    service.store.delete(KIND, request["ModelName"])
    drop_tags(service, body["ModelArn"])
    return {}


def resolve_container(service: Service, model: str) -> ResolvedContainer:
    """Return the image, artifact address and environment of a model by its name.

    Raises:
        AwsError: When the model, or the package it was made from, does not exist.
    """
    return _resolve(service, _only_container(_require_model(service, model)))


def _require_model(service: Service, name: str) -> dict[str, Any]:
    body = service.store.get(KIND, name)
    if body is None:
        raise not_found(f'Could not find model "{service.arn(KIND, name)}".')
    return body


def _only_container(model: dict[str, Any]) -> dict[str, Any]:
    containers = model.get("Containers", [])
    if bool(containers) == bool(model.get("PrimaryContainer")):
        raise validation("You must provide either PrimaryContainer or Containers in the request, and not both.")
    if len(containers) > 1:
        raise unsupported("inference pipelines (more than one container in a model)")
    container: dict[str, Any] = model.get("PrimaryContainer") or containers[0]
    return container


def _resolve(service: Service, container: dict[str, Any]) -> ResolvedContainer:
    environment = container.get("Environment", {})
    if "ModelPackageName" in container:
        package = find_package(service, container["ModelPackageName"])
        specified = package.get("InferenceSpecification", {}).get("Containers", [])
        if len(specified) != 1:
            raise validation(f"Model package {package['ModelPackageArn']} has no single inference container.")
        return ResolvedContainer(
            specified[0]["Image"], _artifact(specified[0]), {**specified[0].get("Environment", {}), **environment}
        )
    if "Image" not in container:
        raise validation("A container must name an Image or a ModelPackageName.")
    return ResolvedContainer(container["Image"], _artifact(container), environment)


def _artifact(container: dict[str, Any]) -> str | None:
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source is None:
        url: str | None = container.get("ModelDataUrl")
        return url
    if source.get("CompressionType") != "Gzip":
        raise unsupported("uncompressed model data (ModelDataSource with CompressionType None)")
    return str(source["S3Uri"])


async def _require_artifact(service: Service, url: str, role: str) -> None:
    try:
        exists = await asyncio.to_thread(service.objects.exists, url)
    except ObjectsError as error:
        raise validation(f"Could not access model data at {url}: {error}") from error
    if not exists:
        raise validation(
            f"Could not access model data at {url}. Please ensure that the role {role} exists and that its trust "
            'relationship policy allows the action "sts:AssumeRole" for the service principal '
            '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the object '
            f"is located in {service.region}."
        )
