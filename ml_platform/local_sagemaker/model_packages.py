"""Model packages: immutable versions of a model with their approval. Groups are in ``registry``."""

from typing import Any

from ml_platform.local_sagemaker.model_card_content import check_content
from ml_platform.local_sagemaker.paging import Listing, list_page
from ml_platform.local_sagemaker.registry import PACKAGE_KIND, next_version, require_group
from ml_platform.local_sagemaker.service import AwsError, Request, Response, Service, not_found, operation, validation
from ml_platform.local_sagemaker.store import DuplicateError
from ml_platform.local_sagemaker.tags import drop_tags, put_tags

LISTING = Listing(
    kind=PACKAGE_KIND,
    member="ModelPackageSummaryList",
    filters={"ModelApprovalStatus": "ModelApprovalStatus"},
    descending=False,
)
UPDATABLE = (
    "ModelApprovalStatus",
    "ApprovalDescription",
    "InferenceSpecification",
    "SourceUri",
    "ModelCard",
    "ModelLifeCycle",
    "ModelPackageRegistrationType",
)
MAX_PROPERTIES = 50


@operation("CreateModelPackage")
async def create_model_package(service: Service, request: Request) -> Response:
    """Store a package: the next version of a group, or one with a name of its own."""
    if "ModelPackageName" in request and "ModelPackageGroupName" in request:
        raise validation(
            "Both ModelPackageName and ModelPackageGroupName are provided in the input. Cannot determine which one to "
            "use."
        )
    if "ModelPackageName" not in request and "ModelPackageGroupName" not in request:
        raise validation("Missing ARN.")
    _check_content(request)
    if "ModelPackageGroupName" in request:
        group = _group_of(service, request["ModelPackageGroupName"])
        version = next_version(service, group)
        name = f"{group}/{version}"
        own = {
            "ModelPackageName": group,
            "ModelPackageGroupName": group,
            "ModelPackageVersion": version,
            "ModelApprovalStatus": request.get("ModelApprovalStatus", "PendingManualApproval"),
            "_Type": "Versioned",
        }
    else:
        name = request["ModelPackageName"]
        own = {"_Type": "Unversioned"}
    return {"ModelPackageArn": _insert(service, name, request | own)}


def _group_of(service: Service, arn_or_name: str) -> str:
    try:
        return str(require_group(service, arn_or_name)["ModelPackageGroupName"])
    except AwsError as error:
        raise validation("Model Package Group does not exist.") from error


def _insert(service: Service, name: str, members: dict[str, Any]) -> str:
    # ARNs of packages are in small letters, so names that differ in capitals only would be one package.
    name = name.lower()
    arn = service.arn(PACKAGE_KIND, name)
    now = service.clock.timestamp()
    body = {key: value for key, value in members.items() if key not in ("Tags", "ClientToken")} | {
        "ModelPackageArn": arn,
        "CreationTime": now,
        "LastModifiedTime": now,
        "CreatedBy": {},
        "LastModifiedBy": {},
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
    }
    try:
        service.store.insert(PACKAGE_KIND, name, body)
    except DuplicateError as error:
        raise validation(f"Model Package already exists: {arn}") from error
    put_tags(service, arn, members.get("Tags"))
    return arn


@operation("DescribeModelPackage")
async def describe_model_package(service: Service, request: Request) -> Response:
    """Return a package."""
    return find_package(service, request["ModelPackageName"])


@operation("BatchDescribeModelPackage")
async def batch_describe_model_package(service: Service, request: Request) -> Response:
    """Return packages by ARN; what cannot be found is told beside those that can."""
    found: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    for arn in request["ModelPackageArnList"]:
        try:
            found[arn] = find_package(service, arn)
        except AwsError as error:
            errors[arn] = {"ErrorCode": error.code, "ErrorResponse": error.message}
    return {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": errors}


@operation("ListModelPackages")
async def list_model_packages(service: Service, request: Request) -> Response:
    """Return a page of a group's versions or, without a group, of the packages that have no versions."""
    if "ModelPackageGroupName" in request:
        group = require_group(service, request["ModelPackageGroupName"])
        return list_page(service, LISTING, request, {"ModelPackageGroupName": group["ModelPackageGroupName"]})
    kind = request.get("ModelPackageType", "Unversioned")
    return list_page(service, LISTING, request, None if kind == "Both" else {"_Type": kind})


@operation("UpdateModelPackage")
async def update_model_package(service: Service, request: Request) -> Response:
    """Change the approval, description or metadata of a package; its artifact and metrics never change."""
    body = find_package(service, request["ModelPackageArn"])
    if "ModelApprovalStatus" in request and body["_Type"] == "Unversioned":
        raise validation("Approval status can only be updated for versioned model packages.")
    _check_content(request)
    properties = {**body.get("CustomerMetadataProperties", {}), **request.get("CustomerMetadataProperties", {})}
    for key in request.get("CustomerMetadataPropertiesToRemove", []):
        properties.pop(key, None)
    if len(properties) > MAX_PROPERTIES:
        raise validation(f"A model package has at most {MAX_PROPERTIES} CustomerMetadataProperties.")
    added = request.get("AdditionalInferenceSpecificationsToAdd", [])
    specifications = [*body.get("AdditionalInferenceSpecifications", []), *added]
    _require_unique_names(specifications)
    service.store.update(
        PACKAGE_KIND,
        _store_name(request["ModelPackageArn"]),
        **{member: request[member] for member in UPDATABLE if member in request},
        CustomerMetadataProperties=properties or None,
        AdditionalInferenceSpecifications=specifications or None,
        LastModifiedTime=service.clock.timestamp(),
    )
    return {"ModelPackageArn": body["ModelPackageArn"]}


@operation("DeleteModelPackage")
async def delete_model_package(service: Service, request: Request) -> Response:
    """Delete a package."""
    body = find_package(service, request["ModelPackageName"])
    service.store.delete(PACKAGE_KIND, _store_name(body["ModelPackageArn"]))
    drop_tags(service, body["ModelPackageArn"])
    return {}


def _check_content(request: Request) -> None:
    content = request.get("ModelCard", {}).get("ModelCardContent")
    if content is not None:
        check_content(content)
    _require_unique_names(request.get("AdditionalInferenceSpecifications", []))


def _require_unique_names(specifications: list[dict[str, Any]]) -> None:
    names = [specification["Name"] for specification in specifications]
    if len(set(names)) < len(names):
        raise validation("AdditionalInferenceSpecifications must have unique names.")


def find_package(service: Service, arn_or_name: str) -> dict[str, Any]:
    """Return a package's body by ARN or, for one without versions, by name.

    Raises:
        AwsError: When there is none.
    """
    name = _store_name(arn_or_name)
    body = service.store.get(PACKAGE_KIND, name)
    if body is None:
        raise not_found(f"ModelPackage {service.arn(PACKAGE_KIND, name)} does not exist.")
    return body


def _store_name(arn_or_name: str) -> str:
    """``arn:...:model-package/<Name>[/<version>]`` -> ``<name>[/<version>]``, in small letters as packages are kept."""
    return (arn_or_name.partition(f":{PACKAGE_KIND}/")[2] or arn_or_name).lower()
