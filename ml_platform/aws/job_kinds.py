"""The three kinds of SageMaker jobs that run a container, under one interface, and where AWS treats them differently.

What each call does is ``training_jobs``, ``processing_jobs`` and ``transform_jobs``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ml_platform.aws import log_streams, processing_jobs, training_jobs, transform_jobs
from ml_platform.aws.job_lifecycle import Job
from ml_platform.core.errors import JobError

KindName = Literal["training", "processing", "transform"]


@dataclass(frozen=True, slots=True)
class JobKind:
    """One kind of job."""

    name: KindName
    name_member: str
    """Member of the request that holds the job's name."""
    log_group: str
    console_path: str
    max_environment_value: int
    """Characters that AWS allows in one value of ``Environment`` (botocore's service model)."""
    max_environment_entries: int
    start_or_adopt: Callable[[str, Any, Callable[[Any], bool]], str]
    describe: Callable[[str, str], Job | None]
    stop: Callable[[str, str], None]
    reports: bool = True
    """Whether its container may be expected to say something of its own: a model server only answers requests."""

    def existing(self, region: str, name: str) -> Job:
        """Return a job that must be there.

        Raises:
            JobError: When it is not.
        """
        job = self.describe(region, name)
        if job is None:
            raise JobError(f"There is no {self.name} job {name} any more. Run it again.")
        return job


KINDS: Mapping[KindName, JobKind] = {
    "training": JobKind(
        name="training",
        name_member="TrainingJobName",
        log_group=log_streams.TRAINING_GROUP,
        console_path="jobs",
        max_environment_value=512,
        max_environment_entries=100,
        start_or_adopt=training_jobs.start_or_adopt,
        describe=training_jobs.describe,
        stop=training_jobs.stop,
    ),
    "processing": JobKind(
        name="processing",
        name_member="ProcessingJobName",
        log_group=log_streams.PROCESSING_GROUP,
        console_path="processing-jobs",
        max_environment_value=256,
        max_environment_entries=100,
        start_or_adopt=processing_jobs.start_or_adopt,
        describe=processing_jobs.describe,
        stop=processing_jobs.stop,
    ),
    "transform": JobKind(
        name="transform",
        name_member="TransformJobName",
        log_group=log_streams.TRANSFORM_GROUP,
        console_path="transform-jobs",
        max_environment_value=10_240,
        max_environment_entries=16,
        start_or_adopt=transform_jobs.start_or_adopt,
        describe=transform_jobs.describe,
        stop=transform_jobs.stop,
        reports=False,
    ),
}
