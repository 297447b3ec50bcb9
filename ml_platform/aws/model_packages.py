"""The SageMaker model registry: groups, packages, approval.

What a package of ours says about itself is ``registry.model_package``.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from ml_platform.aws import clients, failures
from ml_platform.core.clock import in_utc

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import (
        CreateModelPackageInputTypeDef,
        DescribeModelPackageOutputTypeDef,
        ModelLifeCycleTypeDef,
        UpdateModelPackageInputTypeDef,
    )

Approval = Literal["Approved", "Rejected", "PendingManualApproval"]
PENDING: Approval = "PendingManualApproval"
APPROVED: Approval = "Approved"
REJECTED: Approval = "Rejected"

_LIFE_CYCLE: dict[Approval, tuple[str, str]] = {
    PENDING: ("Proposal", "PendingApproval"),
    APPROVED: ("Production", "Approved"),
    REJECTED: ("Production", "Rejected"),
}
"""Stage and its status that go with an approval. IAM allows stages by role: one that trains can only propose."""


class ModelPackage(BaseModel):
    """One version in a model package group, as the registry describes it."""

    model_config = ConfigDict(frozen=True)

    arn: str
    group: str
    version: int
    status: Approval
    approval_description: str = ""
    image: str = ""
    artifact_uri: str = ""
    properties: dict[str, str] = {}
    stage: str = ""
    stage_status: str = ""
    created_at: datetime
    changed_at: datetime | None = None
    """Last change of the package, which for a decided one is its approval or rejection."""

    @property
    def approved(self) -> bool:
        """Whether the package may be deployed."""
        return self.status == APPROVED


def ensure_group(region: str, group: str, description: str, tags: dict[str, str] | None = None) -> None:
    """Create a model package group unless it is there; safe to repeat."""
    with failures.translated(f"create model package group {group}"):
        try:
            clients.sagemaker(region).create_model_package_group(
                ModelPackageGroupName=group,
                ModelPackageGroupDescription=description,
                Tags=[{"Key": key, "Value": value} for key, value in (tags or {}).items()],
            )
        except ClientError as error:
            if not failures.means_present(error):
                raise


def register(region: str, request: "CreateModelPackageInputTypeDef") -> str:
    """Create a model package and return its ARN."""
    with failures.translated(f"register a model package in {request.get('ModelPackageGroupName')}"):
        return clients.sagemaker(region).create_model_package(**request)["ModelPackageArn"]


def describe(region: str, arn: str) -> ModelPackage | None:
    """Return a model package, or None when there is none of this ARN."""
    with failures.translated(f"describe model package {arn}"):
        try:
            return _model_package(clients.sagemaker(region).describe_model_package(ModelPackageName=arn))
        except ClientError as error:
            if failures.means_missing(error):
                return None
            raise


def list_arns(region: str, group: str, status: Approval | None = None) -> list[str]:
    """Return the ARNs of a group's packages, newest version first; empty when there is no such group."""
    only = {"ModelApprovalStatus": status} if status else {}
    with failures.translated(f"list the model packages of {group}"):
        try:
            pages = (
                clients.sagemaker(region)
                .get_paginator("list_model_packages")
                .paginate(
                    ModelPackageGroupName=group,
                    SortBy="CreationTime",
                    SortOrder="Descending",
                    **only,  # type: ignore[arg-type]
                )
            )
            found = [item for page in pages for item in page["ModelPackageSummaryList"]]
        except ClientError as error:
            if failures.means_missing(error):
                return []
            raise
    # Creation times have a resolution of a second or worse; versions are what orders packages.
    found.sort(key=lambda item: item.get("ModelPackageVersion", 0), reverse=True)
    return [item["ModelPackageArn"] for item in found if item["ModelPackageStatus"] == "Completed"]


def set_status(
    region: str, arn: str, status: Approval, description: str, properties: Mapping[str, str] | None = None
) -> None:
    """Set the approval of a package, and the stage that goes with it, with the reason for it.

    Args:
        region: The registry's.
        arn: The package.
        status: The approval.
        description: The reason: one line, at most 1,024 characters.
        properties: Of the package, set in the same call.
    """
    reason = " ".join(description.split())[:1024]
    request: UpdateModelPackageInputTypeDef = {
        "ModelPackageArn": arn,
        "ModelApprovalStatus": status,
        "ApprovalDescription": reason,
        "ModelLifeCycle": life_cycle(*_LIFE_CYCLE[status], reason),
    }
    if properties:  # an empty map is refused
        request["CustomerMetadataProperties"] = dict(properties)
    with failures.translated(f"set {arn} to {status}"):
        clients.sagemaker(region).update_model_package(**request)


def set_properties(region: str, arn: str, properties: Mapping[str, str]) -> None:
    """Set some properties of a package; the others stay."""
    with failures.translated(f"describe {arn} further"):
        clients.sagemaker(region).update_model_package(ModelPackageArn=arn, CustomerMetadataProperties=dict(properties))


def life_cycle(stage: str, status: str, description: str) -> "ModelLifeCycleTypeDef":
    """Build the stage of a package."""
    return {"Stage": stage, "StageStatus": status, "StageDescription": description}


def proposal() -> "ModelLifeCycleTypeDef":
    """Build the stage of a package that nobody has decided about."""
    return life_cycle(*_LIFE_CYCLE[PENDING], "registered, nobody has decided")


def _model_package(answer: "DescribeModelPackageOutputTypeDef") -> ModelPackage:
    containers = answer.get("InferenceSpecification", {}).get("Containers", [])
    container = containers[0] if containers else {}
    return ModelPackage(
        arn=answer["ModelPackageArn"],
        group=answer.get("ModelPackageGroupName", ""),
        version=answer.get("ModelPackageVersion", 0),
        status=answer.get("ModelApprovalStatus", PENDING),
        approval_description=answer.get("ApprovalDescription", ""),
        image=container.get("Image", ""),
        artifact_uri=container.get("ModelDataUrl", ""),
        properties=dict(answer.get("CustomerMetadataProperties", {})),
        stage=answer.get("ModelLifeCycle", {}).get("Stage", ""),
        stage_status=answer.get("ModelLifeCycle", {}).get("StageStatus", ""),
        created_at=in_utc(answer["CreationTime"]),
        changed_at=in_utc(answer["LastModifiedTime"]) if "LastModifiedTime" in answer else None,
    )
