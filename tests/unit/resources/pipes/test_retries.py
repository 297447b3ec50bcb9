"""Which endings of a job are tried again: those that another attempt may not meet, each at its own pace."""

import pytest

from ml_platform.core.errors import (
    CapacityError,
    JobFailedError,
    JobLostError,
    JobStoppedError,
    MLPlatformError,
    ServiceUnavailableError,
    SpotInterruptedError,
)
from ml_platform.resources.pipes.retries import PATIENT, TRANSIENT, Retry

AWS_POLL_SECONDS = 15


@pytest.mark.parametrize(
    ("ending", "first_wait"),
    [(CapacityError, 300), (SpotInterruptedError, 60), (ServiceUnavailableError, 120), (JobLostError, 30)],
)
def test_what_may_not_come_again_is_tried_again_at_its_pace(ending: type[MLPlatformError], first_wait: float) -> None:
    assert PATIENT[ending].times >= 2
    assert PATIENT[ending].wait_seconds(0, AWS_POLL_SECONDS, lambda low, high: (low + high) / 2) == first_wait


@pytest.mark.parametrize("ending", [JobFailedError, JobStoppedError])
def test_a_containers_failure_and_a_stop_are_not_tried_again(ending: type[MLPlatformError]) -> None:
    assert not issubclass(ending, TRANSIENT)


def test_waits_double_and_are_spread() -> None:
    retry = Retry(times=3, looks=4)
    assert [retry.wait_seconds(number, 1, lambda low, _: low) for number in range(3)] == [2, 4, 8]
    assert [retry.wait_seconds(number, 1, lambda _, high: high) for number in range(3)] == [6, 12, 24]
    assert len({retry.wait_seconds(0, 1) for _ in range(20)}) > 1
