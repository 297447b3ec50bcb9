"""Which running training jobs are not worth going on with, by what they and others printed so far. Pure.

``Auto`` early stopping is as AWS describes it: give up what does worse than the median of the others did by then.
Hyperband is AWS's name only; what runs here is the asynchronous successive halving that such tuners are made of.
"""

from collections.abc import Sequence
from statistics import fmean, median

# Before a few jobs have completed there is nothing to compare with.
JOBS_TO_COMPARE = 3
# Of the jobs that reach a level, one in so many goes on; the levels lie so many times apart.
HALVING = 3


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


def levels(smallest: int, largest: int) -> list[int]:
    """Return after how many values of the objective jobs are compared: ``levels(1, 27) == [1, 3, 9]``."""
    found: list[int] = []
    level = smallest
    while level < largest:
        found.append(level)
        level *= HALVING
    return found


def is_outdone(series: Sequence[float], others: Sequence[Sequence[float]], smallest: int, largest: int) -> bool:
    """Return whether a running job has had all its values, or is not among the best third at its newest level.

    Args:
        series: The objective over time, higher is better.
        others: The same of all other jobs, running and ended.
        smallest: MinResource: before so many values no job is stopped.
        largest: MaxResource: after so many values every job is stopped.
    """
    if len(series) >= largest:
        return True
    reached = [level for level in levels(smallest, largest) if level <= len(series)]
    if not reached:
        return False
    own = series[reached[-1] - 1]
    rivals = [other[reached[-1] - 1] for other in others if len(other) >= reached[-1]]
    go_on = (len(rivals) + 1) // HALVING
    return go_on >= 1 and sum(rival > own for rival in rivals) >= go_on
