"""SageMaker processing jobs: start one or adopt it, follow it to its end, stop it. The shape of ``training_jobs``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from ml_platform.aws import clients, failures, job_lifecycle

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import CreateProcessingJobRequestTypeDef, DescribeProcessingJobResponseTypeDef


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingJob(job_lifecycle.Job):
    """What SageMaker says of one processing job. It has no secondary status: ``phase`` is the status."""

    exit_message: str = ""


def describe(region: str, name: str) -> ProcessingJob | None:
    """Return a processing job, or None when there is none of this name."""
    with failures.translated(f"describe processing job {name}"):
        try:
            return _processing_job(clients.sagemaker(region).describe_processing_job(ProcessingJobName=name))
        except ClientError as error:
            if failures.means_missing(error):
                return None
            raise


def start_or_adopt(
    region: str,
    request: "CreateProcessingJobRequestTypeDef",
    usable: Callable[[ProcessingJob], bool] = lambda _: True,
) -> str:
    """Return the name of the job that does, or did, what the request asks for; like ``training_jobs``."""

    def status_of(name: str) -> str | None:
        job = describe(region, name)
        if job is not None and job.status == job_lifecycle.COMPLETED and not usable(job):
            return job_lifecycle.FAILED
        return job.status if job else None

    def start(name: str) -> None:
        with failures.translated(f"start processing job {name}"):
            try:
                clients.sagemaker(region).create_processing_job(
                    **cast("CreateProcessingJobRequestTypeDef", {**request, "ProcessingJobName": name})
                )
            except ClientError as error:
                if failures.means_present(error):
                    raise job_lifecycle.AlreadyStartedError(name) from error
                raise

    return job_lifecycle.start_or_adopt(request["ProcessingJobName"], status_of, start)


def stop(region: str, name: str) -> None:
    """Ask SageMaker to stop a processing job; a job that ended already is no error."""
    with failures.translated(f"stop processing job {name}"):
        try:
            clients.sagemaker(region).stop_processing_job(ProcessingJobName=name)
        except ClientError as error:
            if not failures.means_ended(error):
                raise


def _processing_job(answer: "DescribeProcessingJobResponseTypeDef") -> ProcessingJob:
    cluster = answer.get("ProcessingResources", {}).get("ClusterConfig", {})
    started_at = job_lifecycle.instant(answer.get("ProcessingStartTime"))
    ended_at = job_lifecycle.instant(answer.get("ProcessingEndTime"))
    exit_message = answer.get("ExitMessage", "")
    # SageMaker's reason says that the container failed, the container's own message says why.
    reason = ": ".join(filter(None, (answer.get("FailureReason", ""), exit_message)))
    return ProcessingJob(
        name=answer["ProcessingJobName"],
        arn=answer["ProcessingJobArn"],
        status=answer["ProcessingJobStatus"],
        phase=answer["ProcessingJobStatus"],
        instance_type=cluster.get("InstanceType", "instance"),
        instance_count=cluster.get("InstanceCount", 1),
        environment=answer.get("Environment", {}),
        exit_message=exit_message,
        failure_reason=reason or None,
        billable_seconds=job_lifecycle.seconds_between(started_at, ended_at),
        started_at=started_at,
        ended_at=ended_at,
    )
