"""Registering a candidate as a model package, and approving or rejecting a package.

Whether a candidate deserves it is ``evaluation``; looking packages up is ``registry.lookup``.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.aws import model_packages
from ml_platform.aws.model_packages import ModelPackage
from ml_platform.core import names
from ml_platform.core.clock import utc_now
from ml_platform.core.errors import ConfigurationError
from ml_platform.core.settings import Settings
from ml_platform.modeling.contract import CONTENT_TYPES
from ml_platform.registry import approval, lookup

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.literals import ProductionVariantInstanceTypeType, TransformInstanceTypeType
    from mypy_boto3_sagemaker.type_defs import CreateModelPackageInputTypeDef

MAX_KEY, MAX_VALUE = 128, 256
_FORBIDDEN = re.compile(r"[^\w .:/=+\-@]")


class Submission(BaseModel):
    """A candidate with the evidence that speaks for it."""

    model_config = ConfigDict(frozen=True)

    model: str
    artifact_uri: str
    fingerprint: str = Field(description="The candidate's: registering the same one twice gives the same package.")
    training_job: str
    training_set_fingerprint: str
    report_uri: str = Field(description="Address of the evaluation report, a JSON document.")
    metrics: dict[str, float] = Field(default={}, description="Headline metrics, shown with the package.")
    properties: dict[str, str] = Field(default={}, description="What else the package says, e.g. who trained it.")
    description: str = ""


def register(settings: Settings, submission: Submission) -> ModelPackage:
    """Return the package of a candidate, registering it if it is not there.

    Args:
        settings: Image, instance types and region.
        submission: The candidate.
    """
    group = names.model_package_group(submission.model)
    model_packages.ensure_group(
        settings.region, group, f"Versions of {submission.model}", {"ml-platform:model": submission.model}
    )
    package = lookup.find_by_fingerprint(settings.region, group, submission.fingerprint)
    if package is None:
        arn = model_packages.register(settings.region, model_package_request(settings, submission))
        package = existing(settings.region, arn)
    return package


def approve(region: str, arn: str, by: str, reason: str, at: datetime | None = None) -> ModelPackage:
    """Approve a package: from now on it may be deployed. Approving an approved one changes nothing.

    Args:
        region: The registry's.
        arn: The package.
        by: Who approves it.
        reason: Why.
        at: The present instant; the approval holds from then on.

    Raises:
        SelfApprovalError: When it was trained by the same person.
    """
    package = existing(region, arn)
    approval.require_another_person(package, by)
    return _decide(region, package, model_packages.APPROVED, by, reason, at)


def reject(region: str, arn: str, by: str, reason: str, at: datetime | None = None) -> ModelPackage:
    """Reject a package; who trained it may do that too."""
    return _decide(region, existing(region, arn), model_packages.REJECTED, by, reason, at)


def withdraw(region: str, arn: str, by: str, reason: str) -> ModelPackage:
    """Take an approval back, without a judgement on the model: the package waits for a decision again."""
    model_packages.set_status(region, arn, model_packages.PENDING, f"withdrawn by {by}: {reason}")
    return existing(region, arn)


def _decide(
    region: str, package: ModelPackage, status: model_packages.Approval, by: str, reason: str, at: datetime | None
) -> ModelPackage:
    if package.status == status:
        return package
    model_packages.set_status(region, package.arn, status, f"{status} by {by}: {reason}", decided(by, at or utc_now()))
    return existing(region, package.arn)


def decided(by: str, at: datetime) -> dict[str, str]:
    """Return the properties by which a package says who decided about it, and when."""
    return allowed({approval.DECIDED_BY: by, approval.DECIDED_AT: at.isoformat()})


def existing(region: str, arn: str) -> ModelPackage:
    """Return a package that must be there.

    Raises:
        ConfigurationError: When it is not.
    """
    package = model_packages.describe(region, arn)
    if package is None:
        raise ConfigurationError(f"There is no model package {arn}. `ml-platform status` lists the packages.")
    return package


def model_package_request(settings: Settings, submission: Submission) -> "CreateModelPackageInputTypeDef":
    """Build the request that registers a candidate, always pending.

    Approval is a second call: only that one can carry a reason. A package has no tags, AWS uses its group's.
    """
    hosting = cast("ProductionVariantInstanceTypeType", settings.hosting_instance_type)
    transform = cast("TransformInstanceTypeType", settings.hosting_instance_type)
    return {
        "ModelPackageGroupName": names.model_package_group(submission.model),
        "ModelPackageDescription": submission.description or f"Candidate {submission.fingerprint[:12]}",
        "InferenceSpecification": {
            "Containers": [{"Image": settings.serving_image, "ModelDataUrl": submission.artifact_uri}],
            "SupportedContentTypes": list(CONTENT_TYPES),
            "SupportedResponseMIMETypes": list(CONTENT_TYPES),
            "SupportedRealtimeInferenceInstanceTypes": [hosting],
            "SupportedTransformInstanceTypes": [transform],
        },
        "ModelMetrics": {
            "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": submission.report_uri}}
        },
        "ModelApprovalStatus": model_packages.PENDING,
        "ModelLifeCycle": model_packages.proposal(),
        "CustomerMetadataProperties": lineage(submission),
        # SageMaker itself refuses to register the same candidate twice, should two runs race.
        "ClientToken": submission.fingerprint[:36],
    }


def lineage(submission: Submission) -> dict[str, str]:
    """Return what a package says about where it comes from, in the characters and lengths SageMaker allows."""
    properties: Mapping[str, str] = {
        lookup.FINGERPRINT: submission.fingerprint,
        "model": submission.model,
        "training_job": submission.training_job,
        "training_set_fingerprint": submission.training_set_fingerprint,
        "report_uri": submission.report_uri,
        **{name: repr(value) for name, value in submission.metrics.items()},
        **submission.properties,
    }
    return allowed(properties)


def allowed(properties: Mapping[str, str]) -> dict[str, str]:
    """Return properties in the characters and lengths SageMaker allows; empty ones are left out."""
    return {_allowed(key, MAX_KEY): _allowed(value, MAX_VALUE) for key, value in properties.items() if value}


def _allowed(text: str, length: int) -> str:
    return _FORBIDDEN.sub("-", text)[:length]
