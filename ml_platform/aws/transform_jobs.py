"""SageMaker transform jobs: start one or adopt it, say how it is, stop it. The shape of ``training_jobs``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from ml_platform.aws import clients, failures, job_lifecycle

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import CreateTransformJobRequestTypeDef, DescribeTransformJobResponseTypeDef


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformJob(job_lifecycle.Job):
    """What SageMaker says of one transform job. Transform jobs have no secondary status: ``phase`` is the status."""

    output_uri: str


def describe(region: str, name: str) -> TransformJob | None:
    """Return a transform job, or None when there is none of this name."""
    with failures.translated(f"describe transform job {name}"):
        try:
            return _transform_job(clients.sagemaker(region).describe_transform_job(TransformJobName=name))
        except ClientError as error:
            if failures.means_missing(error):
                return None
            raise


def start_or_adopt(
    region: str,
    request: "CreateTransformJobRequestTypeDef",
    usable: Callable[[TransformJob], bool] = lambda _: True,
) -> str:
    """Return the name of the job that does, or did, what the request asks for; like ``training_jobs``."""

    def status_of(name: str) -> str | None:
        job = describe(region, name)
        if job is not None and job.status == job_lifecycle.COMPLETED and not usable(job):
            return job_lifecycle.FAILED
        return job.status if job else None

    def start(name: str) -> None:
        with failures.translated(f"start transform job {name}"):
            try:
                clients.sagemaker(region).create_transform_job(
                    **cast("CreateTransformJobRequestTypeDef", {**request, "TransformJobName": name})
                )
            except ClientError as error:
                if failures.means_present(error):
                    raise job_lifecycle.AlreadyStartedError(name) from error
                raise

    return job_lifecycle.start_or_adopt(request["TransformJobName"], status_of, start)


def stop(region: str, name: str) -> None:
    """Ask SageMaker to stop a transform job; a job that ended already is no error."""
    with failures.translated(f"stop transform job {name}"):
        try:
            clients.sagemaker(region).stop_transform_job(TransformJobName=name)
        except ClientError as error:
            if not failures.means_ended(error):
                raise


def _transform_job(answer: "DescribeTransformJobResponseTypeDef") -> TransformJob:
    started_at = job_lifecycle.instant(answer.get("TransformStartTime"))
    ended_at = job_lifecycle.instant(answer.get("TransformEndTime"))
    return TransformJob(
        name=answer["TransformJobName"],
        arn=answer["TransformJobArn"],
        status=answer["TransformJobStatus"],
        phase=answer["TransformJobStatus"],
        output_uri=answer.get("TransformOutput", {}).get("S3OutputPath", ""),
        instance_type=answer.get("TransformResources", {}).get("InstanceType", "instance"),
        failure_reason=answer.get("FailureReason"),
        instance_count=answer.get("TransformResources", {}).get("InstanceCount", 1),
        environment=answer.get("Environment", {}),
        # DescribeTransformJob does not say what is billed; AWS bills the time from start to end.
        billable_seconds=job_lifecycle.seconds_between(started_at, ended_at),
        started_at=started_at,
        ended_at=ended_at,
    )
