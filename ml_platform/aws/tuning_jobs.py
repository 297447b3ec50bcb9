"""SageMaker tuning jobs: start one or adopt it, follow it to its end, stop it, list what it tried.

What a request contains is ``training.tuning_request``; what all jobs share is ``job_lifecycle``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from ml_platform.aws import clients, failures, job_lifecycle, training_jobs
from ml_platform.core.clock import Clock, Sleep
from ml_platform.core.errors import JobError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import (
        CreateHyperParameterTuningJobRequestTypeDef,
        DescribeHyperParameterTuningJobResponseTypeDef,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningJob(job_lifecycle.Job):
    """What SageMaker says of one tuning job."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """How many training jobs are ``Completed``, ``InProgress``, ``Stopped`` and so on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedJob:
    """One training job of a tuning job."""

    name: str
    status: str
    parameters: Mapping[str, str]
    objective: float | None
    billable_seconds: int
    instance_type: str
    failure_reason: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


def describe(region: str, name: str) -> TuningJob | None:
    """Return a tuning job, or None when there is none of this name."""
    with failures.translated(f"describe tuning job {name}"):
        try:
            answer = clients.sagemaker(region).describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        except ClientError as error:
            if failures.means_missing(error):
                return None
            raise
    return _tuning_job(answer)


def start_or_adopt(region: str, request: "CreateHyperParameterTuningJobRequestTypeDef") -> str:
    """Return the name of the job that does, or did, what the request asks for; start one only when there is none.

    After a failed or stopped one a new attempt starts, named ``<name>-r1``, ``-r2`` and so on.
    """

    def status_of(name: str) -> str | None:
        job = describe(region, name)
        return job.status if job else None

    def start(name: str) -> None:
        with failures.translated(f"start tuning job {name}"):
            try:
                clients.sagemaker(region).create_hyper_parameter_tuning_job(
                    **cast(
                        "CreateHyperParameterTuningJobRequestTypeDef", {**request, "HyperParameterTuningJobName": name}
                    )
                )
            except ClientError as error:
                if failures.means_present(error):
                    raise job_lifecycle.AlreadyStartedError(name) from error
                raise

    return job_lifecycle.start_or_adopt(request["HyperParameterTuningJobName"], status_of, start)


def follow(
    region: str,
    name: str,
    *,
    on_look: Callable[[TuningJob], None],
    clock: Clock,
    sleep: Sleep,
    poll_seconds: float,
    stop_on_interrupt: bool = False,
) -> TuningJob:
    """Wait for a tuning job and return it completed.

    Args:
        region: AWS region.
        name: The job.
        on_look: Gets the job each time it is looked at.
        clock: Present instant.
        sleep: Waits between two looks.
        poll_seconds: Pause between two looks.
        stop_on_interrupt: Stop the job when we are interrupted (Ctrl-C, a cancelled Dagster run).

    Raises:
        JobFailedError: With SageMaker's reason.
        JobStoppedError: When it was stopped.
    """
    with job_lifecycle.stopped_on_interrupt(lambda: stop(region, name), enabled=stop_on_interrupt):
        return job_lifecycle.follow(
            lambda: _existing(region, name), on_look, clock=clock, sleep=sleep, poll_seconds=poll_seconds
        )


def stop(region: str, name: str) -> None:
    """Ask SageMaker to stop a tuning job and its training jobs; one that ended already is no error."""
    with failures.translated(f"stop tuning job {name}"):
        try:
            clients.sagemaker(region).stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        except ClientError as error:
            if not failures.means_ended(error):
                raise


def tuned_jobs(region: str, name: str) -> list[TunedJob]:
    """Return the training jobs of a tuning job, in the order of their names."""
    sagemaker = clients.sagemaker(region)
    with failures.translated(f"list the training jobs of tuning job {name}"):
        pages = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
            HyperParameterTuningJobName=name, SortBy="Name", SortOrder="Ascending"
        )
        summaries = [summary for page in pages for summary in page["TrainingJobSummaries"]]
    found = []
    for summary in summaries:
        # The summary does not say what will be billed, nor on what it ran.
        job = training_jobs.describe(region, summary["TrainingJobName"])
        found.append(
            TunedJob(
                name=summary["TrainingJobName"],
                status=summary["TrainingJobStatus"],
                parameters=dict(summary["TunedHyperParameters"]),
                objective=summary.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value"),
                billable_seconds=job.billable_seconds if job else 0,
                instance_type=job.instance_type if job else "",
                failure_reason=summary.get("FailureReason"),
                started_at=job_lifecycle.instant(summary.get("TrainingStartTime")),
                ended_at=job_lifecycle.instant(summary.get("TrainingEndTime")),
            )
        )
    return found


def _existing(region: str, name: str) -> TuningJob:
    job = describe(region, name)
    if job is None:
        raise JobError(f"There is no tuning job {name} any more. Run it again.")
    return job


def _tuning_job(answer: "DescribeHyperParameterTuningJobResponseTypeDef") -> TuningJob:
    status: str = answer["HyperParameterTuningJobStatus"]
    return TuningJob(
        name=answer["HyperParameterTuningJobName"],
        arn=answer["HyperParameterTuningJobArn"],
        status=status,
        phase=status,
        instance_type="instance",
        failure_reason=answer.get("FailureReason"),
        started_at=job_lifecycle.instant(answer.get("CreationTime")),
        ended_at=job_lifecycle.instant(answer.get("HyperParameterTuningEndTime")),
        counts={str(key): int(cast("int", value)) for key, value in answer["TrainingJobStatusCounters"].items()},
    )
