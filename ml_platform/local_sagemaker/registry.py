"""Model package groups: the line of versions of one model. Their versions are in ``model_packages``."""

from typing import Any

from ml_platform.local_sagemaker.paging import Listing, list_page
from ml_platform.local_sagemaker.service import AwsError, Request, Response, Service, not_found, operation, validation
from ml_platform.local_sagemaker.store import DuplicateError
from ml_platform.local_sagemaker.tags import drop_tags, put_tags

KIND = "model-package-group"
PACKAGE_KIND = "model-package"
LISTING = Listing(kind=KIND, member="ModelPackageGroupSummaryList", descending=False)


@operation("CreateModelPackageGroup")
async def create_model_package_group(service: Service, request: Request) -> Response:
    """Store an empty group."""
    name = request["ModelPackageGroupName"]
    arn = service.arn(KIND, name)
    body = {
        **request,
        "ModelPackageGroupArn": arn,
        "CreationTime": service.clock.timestamp(),
        "CreatedBy": {},
        "ModelPackageGroupStatus": "Completed",
        "_LastVersion": 0,
    }
    body.pop("Tags", None)
    try:
        service.store.insert(KIND, name, body)
    except DuplicateError as error:
        raise validation(f"Model Package Group already exists: {arn}") from error
    put_tags(service, arn, request.get("Tags"))
    return {"ModelPackageGroupArn": arn}


@operation("DescribeModelPackageGroup")
async def describe_model_package_group(service: Service, request: Request) -> Response:
    """Return a group."""
    return require_group(service, request["ModelPackageGroupName"])


@operation("ListModelPackageGroups")
async def list_model_package_groups(service: Service, request: Request) -> Response:
    """Return a page of groups."""
    return list_page(service, LISTING, request)


@operation("DeleteModelPackageGroup")
async def delete_model_package_group(service: Service, request: Request) -> Response:
    """Delete a group that has no versions left."""
    group = require_group(service, request["ModelPackageGroupName"])
    name = group["ModelPackageGroupName"]
    if service.store.list(PACKAGE_KIND, ModelPackageGroupName=name):
        raise AwsError(
            "ConflictException",
            f"Model Package Group {group['ModelPackageGroupArn']} cannot be deleted because it still contains "
            "Model Packages.",
        )
    service.store.delete(KIND, name)
    drop_tags(service, group["ModelPackageGroupArn"])
    return {}


def require_group(service: Service, arn_or_name: str) -> dict[str, Any]:
    """Return a group's body by name or ARN.

    Raises:
        AwsError: When there is none.
    """
    name = arn_or_name.rpartition("/")[2]
    body = service.store.get(KIND, name)
    if body is None:
        raise not_found(f"ModelPackageGroup {service.arn(KIND, name)} does not exist.")
    return body


def next_version(service: Service, group: str) -> int:
    """Return the number of a group's next package. Numbers are never used twice, even after a deletion."""

    def advance(body: dict[str, Any]) -> None:
        body["_LastVersion"] += 1

    return int(service.store.change(KIND, group, advance)["_LastVersion"])
