"""After which endings of a SageMaker job another attempt is worth it, how often, and after how long a wait. Pure.

Which ending is which error is ``aws.job_lifecycle``; single calls that AWS throttles are repeated by boto3 before
anything gets here.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ml_platform.core.errors import (
    CapacityError,
    JobLostError,
    MLPlatformError,
    ServiceUnavailableError,
    SpotInterruptedError,
)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often one kind of ending is tried again."""

    times: int
    looks: int
    """Wait before the first retry, counted in the client's looks at a job: the pace of AWS, or of a stand-in."""

    def wait_seconds(
        self,
        retry_number: int,
        poll_seconds: float,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> float:
        """Return the wait before a retry: doubled each time, and spread, so that many runs do not return at once."""
        return poll_seconds * self.looks * 2.0**retry_number * draw(0.5, 1.5)


Retries = Mapping[type[MLPlatformError], Retry]

# With 15 s between two looks, as on AWS: capacity comes back in minutes to hours, spot instances sooner.
PATIENT: Retries = MappingProxyType(
    {
        CapacityError: Retry(times=4, looks=20),
        SpotInterruptedError: Retry(times=3, looks=4),
        # The call was throttled or unanswered for longer than boto3's retries and our patience lasted.
        ServiceUnavailableError: Retry(times=4, looks=8),
        # SageMaker's own failure, which a fresh instance seldom meets again.
        JobLostError: Retry(times=2, looks=2),
    }
)
"""The default. What is not listed is not tried again: a container that failed on its inputs fails on them again, and a
job that somebody or a limit stopped was meant to stop."""

NEVER: Retries = MappingProxyType({})
"""Leaves retries to the asset's own policy."""

TRANSIENT = tuple(PATIENT)
"""What another attempt with the same inputs may not meet again; all else allows no retries."""
