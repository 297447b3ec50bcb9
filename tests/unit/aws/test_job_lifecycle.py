"""Attempts and endings of jobs: nothing is paid twice, Stopped is not success, an interruption stops the job."""

from datetime import UTC, datetime, timedelta

import pytest

from ml_platform.aws import job_lifecycle
from ml_platform.aws.job_lifecycle import AlreadyStartedError, Job, attempt_name, start_or_adopt
from ml_platform.core.errors import (
    CapacityError,
    JobFailedError,
    JobLostError,
    JobStoppedError,
    ServiceUnavailableError,
    SpotInterruptedError,
)

NAME = "card-fraud-train-0123456789abcdef"


class FakeTime:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 5, tzinfo=UTC)

    def clock(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def a_job(status: str, reason: str | None = None, phase: str | None = None) -> Job:
    return Job(
        name=NAME,
        arn="arn",
        status=status,
        phase=phase or status,
        instance_type="ml.m5.large",
        failure_reason=reason,
    )


def follow(*answers: Job | Exception, time: FakeTime | None = None) -> Job:
    time, left = time or FakeTime(), list(answers)

    def look() -> Job:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return job_lifecycle.follow(look, lambda _: None, clock=time.clock, sleep=time.sleep, poll_seconds=10)


@pytest.mark.parametrize(
    ("existing", "adopted", "started"),
    [
        ({}, NAME, [NAME]),
        ({NAME: "InProgress"}, NAME, []),
        ({NAME: "Completed"}, NAME, []),
        ({NAME: "Failed"}, f"{NAME}-r1", [f"{NAME}-r1"]),
        ({NAME: "Stopping"}, f"{NAME}-r1", [f"{NAME}-r1"]),
        ({NAME: "Stopped", f"{NAME}-r1": "Completed"}, f"{NAME}-r1", []),
        ({NAME: "Failed", f"{NAME}-r1": "Failed"}, f"{NAME}-r2", [f"{NAME}-r2"]),
    ],
)
def test_a_job_is_started_only_when_no_attempt_runs_or_completed(
    existing: dict[str, str], adopted: str, started: list[str]
) -> None:
    starts: list[str] = []
    assert start_or_adopt(NAME, existing.get, starts.append) == adopted
    assert starts == started


def test_a_job_that_somebody_else_started_meanwhile_is_adopted() -> None:
    def start(name: str) -> None:
        raise AlreadyStartedError(name)

    assert start_or_adopt(NAME, {}.get, start) == NAME


def test_a_job_that_fails_forever_is_given_up() -> None:
    with pytest.raises(JobFailedError, match="Change them"):
        start_or_adopt(NAME, lambda _: "Failed", lambda _: None)


def test_an_attempt_keeps_the_fingerprint_and_fits_the_limit() -> None:
    name = attempt_name("a" * 46 + "-0123456789abcdef", 12)
    assert len(name) == 63
    assert name.endswith("-0123456789abcdef-r12")


def test_a_completed_job_is_returned_after_any_number_of_looks() -> None:
    assert follow(a_job("InProgress"), a_job("InProgress"), a_job("Completed")).status == "Completed"


@pytest.mark.parametrize(
    ("job", "error", "says"),
    [
        (a_job("Failed", "AlgorithmError: no such column"), JobFailedError, "no such column"),
        (a_job("Failed"), JobFailedError, "gave no reason"),
        (a_job("Stopped"), JobStoppedError, "was stopped"),
        (a_job("Failed", "CapacityError: Unable to provision"), CapacityError, "Retry later"),
        (a_job("Failed", "InsufficientCapacity for ml.m5.large"), CapacityError, "ml.m5.large"),
        (a_job("Failed", "AlgorithmError: CapacityError is what I print"), JobFailedError, "what I print"),
        (a_job("Failed", "InternalServerError: We encountered an internal error"), JobLostError, "lost job"),
        (a_job("Stopped", phase="MaxRuntimeExceeded"), JobStoppedError, "MaxRuntimeExceeded"),
        (a_job("Stopped", phase="MaxWaitTimeExceeded"), SpotInterruptedError, "spot instances"),
        (a_job("Stopped", phase="Interrupted"), SpotInterruptedError, "last checkpoint"),
    ],
)
def test_a_job_that_did_not_complete_is_an_error_with_its_reason(job: Job, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        follow(job)


def test_a_short_outage_does_not_lose_the_job() -> None:
    outage = ServiceUnavailableError("no answer")
    assert follow(a_job("InProgress"), outage, outage, a_job("Completed")).status == "Completed"


def test_a_long_outage_is_reported() -> None:
    time = FakeTime()
    before = time.now
    with pytest.raises(ServiceUnavailableError):
        follow(ServiceUnavailableError("no answer"), time=time)
    assert time.now - before > job_lifecycle.PATIENCE


@pytest.mark.parametrize(
    ("raised", "enabled", "stops"),
    [(KeyboardInterrupt, True, [NAME]), (KeyboardInterrupt, False, []), (ServiceUnavailableError, True, [])],
)
def test_an_interruption_stops_the_job_and_an_error_does_not(
    raised: type[BaseException], *, enabled: bool, stops: list[str]
) -> None:
    stopped: list[str] = []
    with pytest.raises(raised), job_lifecycle.stopped_on_interrupt(lambda: stopped.append(NAME), enabled=enabled):
        raise raised
    assert stopped == stops


def test_a_failure_to_stop_does_not_hide_the_interruption() -> None:
    def stop() -> None:
        raise ServiceUnavailableError("no answer")

    with pytest.raises(KeyboardInterrupt), job_lifecycle.stopped_on_interrupt(stop, enabled=True):
        raise KeyboardInterrupt
