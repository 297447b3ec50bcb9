"""Asking for a run until it has succeeded: not twice at once, not at once again, and never for ever in vain.

Dagster runs a run key once, so a run that failed would never be asked for again under the same one. Here each attempt
has a key of its own, and the pause before it doubles up to an hour: a source that comes back is caught up with.
"""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
from dagster import DagsterInstance, DagsterRunStatus

ASK_TAG = "ml_platform/ask"
_LONGEST_PAUSE = timedelta(hours=1)
_UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
_DAY_TAG = "dagster/partition"
FIRST_DAY_TAG = "dagster/asset_partition_range_start"
LAST_DAY_TAG = "dagster/asset_partition_range_end"


def next_attempt(instance: DagsterInstance, ask: str, now: datetime) -> str | None:
    """Return the run key with which to ask for something now; None while it is under way, or was just tried.

    Args:
        instance: Where earlier attempts are remembered, by the tag ``ASK_TAG``.
        ask: What is asked for; the same things need the same run.
        now: The present instant.
    """
    mine = dg.RunsFilter(tags={ASK_TAG: ask})
    newest = instance.get_run_records(mine, limit=1)
    if not newest:
        return ask
    if not newest[0].dagster_run.is_finished:
        return None
    tried = instance.get_runs_count(mine)
    ended = datetime.fromtimestamp(newest[0].end_time or newest[0].update_timestamp.timestamp(), UTC)
    # More than six doublings are more than the longest pause.
    pause = min(timedelta(minutes=1) * 2 ** min(tried - 1, 6), _LONGEST_PAUSE)
    return f"{ask} (attempt {tried + 1})" if now >= ended + pause else None


def days_under_way(instance: DagsterInstance) -> set[date]:
    """Return the days that unfinished runs are about, whoever asked for them."""
    days: set[date] = set()
    for record in instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED), limit=200):
        tags = record.dagster_run.tags
        first = _day(tags.get(FIRST_DAY_TAG) or tags.get(_DAY_TAG))
        last = _day(tags.get(LAST_DAY_TAG) or tags.get(_DAY_TAG))
        if first and last:
            days |= {first + timedelta(days=offset) for offset in range((last - first).days + 1)}
    return days


def ranges_of(days: list[date]) -> list[tuple[date, date]]:
    """Return days as ranges without gaps, ascending."""
    ranges: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if ranges and day == ranges[-1][1] + timedelta(days=1):
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges


def range_tags(first: date, last: date) -> dict[str, str]:
    """Return the tags that make one run of a range of days."""
    return {FIRST_DAY_TAG: first.isoformat(), LAST_DAY_TAG: last.isoformat()}


def _day(text: str | None) -> date | None:
    """Return the day of a daily partition; other assets have partitions that are no days."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
