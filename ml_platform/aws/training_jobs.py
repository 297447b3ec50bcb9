"""SageMaker training jobs: start one or adopt it, follow it to its end with its log lines, stop it.

What a request contains is ``training.job_request``; what all jobs share is ``job_lifecycle``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from ml_platform.aws import clients, failures, job_lifecycle, log_streams
from ml_platform.aws.job_logs import JobLogs
from ml_platform.core.clock import Clock, Sleep
from ml_platform.core.errors import JobError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import CreateTrainingJobRequestTypeDef, DescribeTrainingJobResponseTypeDef


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob(job_lifecycle.Job):
    """What SageMaker says of one training job. ``artifact_uri`` is empty until the job completed."""

    artifact_uri: str
    training_seconds: int = 0


def describe(region: str, name: str) -> TrainingJob | None:
    """Return a training job, or None when there is none of this name."""
    with failures.translated(f"describe training job {name}"):
        try:
            return _training_job(clients.sagemaker(region).describe_training_job(TrainingJobName=name))
        except ClientError as error:
            if failures.means_missing(error):
                return None
            raise


def hyperparameters(region: str, name: str) -> dict[str, str]:
    """Return what a training job was really given; nothing when there is no such job any more."""
    with failures.translated(f"describe training job {name}"):
        try:
            answer = clients.sagemaker(region).describe_training_job(TrainingJobName=name)
        except ClientError as error:
            if failures.means_missing(error):
                return {}
            raise
    return dict(answer.get("HyperParameters", {}))


def start_or_adopt(
    region: str,
    request: "CreateTrainingJobRequestTypeDef",
    usable: Callable[[TrainingJob], bool] = lambda _: True,
) -> str:
    """Return the name of the job that does, or did, what the request asks for; start one only when there is none.

    A completed or running job of the request's name is adopted: the name is a function of the inputs. After a failed
    or stopped one a new attempt starts, named ``<name>-r1``, ``-r2`` and so on.

    Args:
        region: AWS region.
        request: What ``CreateTrainingJob`` gets; only the name is changed for a retry.
        usable: Whether a completed job may be adopted, e.g. because its artifact is still there.
    """

    def status_of(name: str) -> str | None:
        job = describe(region, name)
        if job is not None and job.status == job_lifecycle.COMPLETED and not usable(job):
            return job_lifecycle.FAILED
        return job.status if job else None

    def start(name: str) -> None:
        with failures.translated(f"start training job {name}"):
            try:
                clients.sagemaker(region).create_training_job(
                    **cast("CreateTrainingJobRequestTypeDef", {**request, "TrainingJobName": name})
                )
            except ClientError as error:
                if failures.means_present(error):
                    raise job_lifecycle.AlreadyStartedError(name) from error
                raise

    return job_lifecycle.start_or_adopt(request["TrainingJobName"], status_of, start)


def follow(
    region: str,
    name: str,
    *,
    on_log: Callable[[str], None],
    clock: Clock,
    sleep: Sleep,
    poll_seconds: float,
    stop_on_interrupt: bool = False,
) -> TrainingJob:
    """Wait for a training job, passing on its log lines as they appear, and return it completed.

    Args:
        region: AWS region.
        name: The job.
        on_log: Gets each log line once, in order.
        clock: Present instant.
        sleep: Waits between two looks.
        poll_seconds: Pause between two looks.
        stop_on_interrupt: Stop the job when we are interrupted (Ctrl-C, a cancelled Dagster run).

    Raises:
        JobFailedError: With the container's failure reason.
        JobStoppedError: When it was stopped.
        CapacityError: When SageMaker had no instance.
    """
    logs = JobLogs(region, log_streams.TRAINING_GROUP, name, on_log)
    with job_lifecycle.stopped_on_interrupt(lambda: stop(region, name), enabled=stop_on_interrupt):
        return job_lifecycle.follow(
            lambda: _existing(region, name),
            lambda job: logs.drain(job.phase),
            clock=clock,
            sleep=sleep,
            poll_seconds=poll_seconds,
        )


def stop(region: str, name: str) -> None:
    """Ask SageMaker to stop a training job; a job that ended already is no error."""
    with failures.translated(f"stop training job {name}"):
        try:
            clients.sagemaker(region).stop_training_job(TrainingJobName=name)
        except ClientError as error:
            if not failures.means_ended(error):
                raise


def _existing(region: str, name: str) -> TrainingJob:
    job = describe(region, name)
    if job is None:
        raise JobError(f"There is no training job {name} any more. Run it again.")
    return job


def _training_job(answer: "DescribeTrainingJobResponseTypeDef") -> TrainingJob:
    return TrainingJob(
        name=answer["TrainingJobName"],
        arn=answer["TrainingJobArn"],
        status=answer["TrainingJobStatus"],
        phase=answer.get("SecondaryStatus", ""),
        artifact_uri=answer.get("ModelArtifacts", {}).get("S3ModelArtifacts", ""),
        instance_type=answer.get("ResourceConfig", {}).get("InstanceType", "instance"),
        instance_count=answer.get("ResourceConfig", {}).get("InstanceCount", 1),
        environment=answer.get("Environment", {}),
        interruptions=sum(
            transition["Status"] == "Interrupted" for transition in answer.get("SecondaryStatusTransitions", [])
        ),
        failure_reason=answer.get("FailureReason"),
        billable_seconds=answer.get("BillableTimeInSeconds", 0),
        training_seconds=answer.get("TrainingTimeInSeconds", 0),
        metrics={metric["MetricName"]: metric["Value"] for metric in answer.get("FinalMetricDataList", [])},
        started_at=job_lifecycle.instant(answer.get("TrainingStartTime")),
        ended_at=job_lifecycle.instant(answer.get("TrainingEndTime")),
    )
