"""What all SageMaker jobs share: attempts that are never paid twice, and following one to its end.

A job's name is a function of its inputs, so the name alone tells whether the work was done. Which calls start and
describe a job is ``training_jobs`` and ``transform_jobs``.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from ml_platform.core import names
from ml_platform.core.clock import Clock, Sleep, in_utc
from ml_platform.core.errors import (
    CapacityError,
    JobError,
    JobFailedError,
    JobLostError,
    JobStoppedError,
    MLPlatformError,
    ServiceUnavailableError,
    SpotInterruptedError,
)

COMPLETED, FAILED, STOPPED, STOPPING, IN_PROGRESS = "Completed", "Failed", "Stopped", "Stopping", "InProgress"
_ENDED = {COMPLETED, FAILED, STOPPED}
_CAPACITY = ("CapacityError", "InsufficientCapacity", "Insufficient capacity")
# What the container wrote into its failure file follows these words: nothing in it is SageMaker's own reason.
_CONTAINERS_OWN = ("AlgorithmError", "ClientError")
_LOST = ("InternalServerError", "InternalError")
_SPOT_PHASES = {"Interrupted", "MaxWaitTimeExceeded"}

MAX_ATTEMPTS = 100
# A restart of the stand-in or a short outage must not lose a job that is being paid for.
PATIENCE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What SageMaker says of any job."""

    name: str
    arn: str
    status: str
    phase: str
    instance_type: str
    failure_reason: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    instance_count: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    billable_seconds: int = 0
    interruptions: int = 0
    """How often AWS took the spot instances away while the job ran."""
    metrics: Mapping[str, float] = field(default_factory=dict)


def seconds_between(started_at: datetime | None, ended_at: datetime | None) -> int:
    """Return for how long a job of several seconds' billing ran; 0 when it did not start or has not ended."""
    return 0 if started_at is None or ended_at is None else max(1, round((ended_at - started_at).total_seconds()))


def instant(time: datetime | None) -> datetime | None:
    """Return a time of a job in UTC; a job that has not started or ended has none."""
    return None if time is None else in_utc(time)


JobT = TypeVar("JobT", bound=Job)


class AlreadyStartedError(JobError):
    """Another process created a job of this name between our look and our start."""


def attempt_name(name: str, attempt: int) -> str:
    """Return the name of the n-th retry of a job; attempt 0 is the name itself.

    The fingerprint at the name's end is never cut: it is what makes the name a function of the inputs.
    """
    if attempt == 0:
        return name
    head, _, fingerprint = name.rpartition("-")
    return names.sagemaker_name(*filter(None, (head, f"{fingerprint}-r{attempt}")))


def start_or_adopt(name: str, status_of: Callable[[str], str | None], start: Callable[[str], None]) -> str:
    """Return the name of the attempt that runs or has completed, starting a new one only when none does.

    Args:
        name: The job's deterministic name.
        status_of: Returns the status of a job, or None when there is no such job.
        start: Starts a job of a name; raises ``AlreadyStartedError`` when there is one by now.
    """
    for attempt in range(MAX_ATTEMPTS):
        candidate = attempt_name(name, attempt)
        status = status_of(candidate)
        if status in {COMPLETED, IN_PROGRESS}:
            return candidate
        if status is None:
            try:
                start(candidate)
            except AlreadyStartedError:
                return candidate
            return candidate
    raise JobFailedError(
        f"Job {name} has failed {MAX_ATTEMPTS} times with the same inputs. Change them, or look at its logs."
    )


def follow(
    look: Callable[[], JobT],
    on_look: Callable[[JobT], None],
    *,
    clock: Clock,
    sleep: Sleep,
    poll_seconds: float,
) -> JobT:
    """Look at a job until it ends, and return it when it completed.

    Raises:
        JobFailedError: With SageMaker's failure reason.
        JobStoppedError: When somebody or a limit stopped it.
        CapacityError: When SageMaker had no instance for it.
        SpotInterruptedError: When its spot instances were taken away for good.
        JobLostError: When SageMaker lost it.
        ServiceUnavailableError: When SageMaker does not answer for longer than ``PATIENCE``.
    """
    last_answer = clock()
    while True:
        job = _look_patiently(look, last_answer, clock)
        if job is not None:
            last_answer = clock()
            on_look(job)
            if job.status in _ENDED:
                return completed(job)
        sleep(poll_seconds)


def _look_patiently(look: Callable[[], JobT], last_answer: datetime, clock: Clock) -> JobT | None:
    try:
        return look()
    except ServiceUnavailableError:
        if clock() - last_answer > PATIENCE:
            raise
        return None


def completed(job: JobT) -> JobT:
    """Return the job if it completed; raises like ``follow`` when it ended otherwise."""
    if job.status == COMPLETED:
        return job
    raise error_of(job)


def error_of(job: Job) -> JobError:
    """Return the error that says how a job ended, if not well: each kind asks for another reaction.

    ``JobFailedError`` and ``JobStoppedError`` come again on a retry with the same inputs; ``CapacityError``,
    ``SpotInterruptedError`` and ``JobLostError`` may not.
    """
    if job.phase in _SPOT_PHASES:
        return SpotInterruptedError(
            f"Job {job.name} lost its spot instances ({job.phase}). Run it again; it goes on from its last checkpoint "
            "if it keeps any."
        )
    if job.status == STOPPED:
        return JobStoppedError(f"Job {job.name} was stopped ({job.phase}). Run it again to start a new attempt.")
    reason = job.failure_reason or "SageMaker gave no reason"
    if reason.startswith(_CONTAINERS_OWN):
        return JobFailedError(f"Job {job.name} failed: {reason}")
    if any(mark in reason for mark in _CAPACITY):
        return CapacityError(
            f"SageMaker has no {job.instance_type} for job {job.name} now: {reason}. "
            "Retry later, or set another instance type."
        )
    if reason.startswith(_LOST):
        return JobLostError(f"SageMaker lost job {job.name}: {reason}. Run it again to start a new attempt.")
    return JobFailedError(f"Job {job.name} failed: {reason}")


@contextmanager
def stopped_on_interrupt(stop: Callable[[], None], *, enabled: bool) -> Iterator[None]:
    """Stop the job when the block is left by an interruption rather than by an error.

    Ctrl-C, the end of the process and a cancelled Dagster run are all raised as a ``BaseException`` that is no
    ``Exception``. An error leaves the job alone: the next run adopts it.
    """
    try:
        yield
    except Exception:
        raise
    except BaseException:
        if enabled:
            # Nothing may hide the interruption, least of all a failure to stop the job.
            with suppress(MLPlatformError):
                stop()
        raise
