"""Early stopping as AWS describes it: give up what does worse than the median of the others did by then. Pure."""

from collections.abc import Sequence
from statistics import fmean, median

# Before a few jobs have completed there is nothing to compare with.
JOBS_TO_COMPARE = 3


def is_hopeless(series: Sequence[float], completed: Sequence[Sequence[float]]) -> bool:
    """Return whether a running job's newest value is below the median of the others' running averages at that step.

    Args:
        series: The objective over time, higher is better.
        completed: The same of jobs that have completed.
    """
    step = len(series)
    if not step:
        return False
    averages = [fmean(other[:step]) for other in completed if len(other) >= step]
    return len(averages) >= JOBS_TO_COMPARE and series[-1] < median(averages)
