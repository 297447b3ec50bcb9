"""What a landing is held against: volume, freshness, schema and quarantine, as its declaration says. Pure.

None of these stops a landing: rows that can be used are used, and a person is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from statistics import median

from ml_platform.core.verdict import Verdict
from ml_platform.ingestion.declaration import TableDeclaration

VOLUME = "volume_is_usual"
FRESHNESS = "newest_day_is_fresh"
SCHEMA = "schema_is_as_declared"
QUARANTINE = "quarantine_is_small"
"""Names of the checks, each a sentence that is true when it passes."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict for each expectation."""

    volume: Verdict
    freshness: Verdict
    schema: Verdict
    quarantine: Verdict


def judge_volume(declared: TableDeclaration, landed: Mapping[date, int], before: Mapping[date, int]) -> Verdict:
    """Hold each landed day's rows against the median of the days before it.

    Args:
        declared: The table.
        landed: Rows of the days that were just landed, quarantined ones included.
        before: The same of all days landed earlier.
    """
    expected = declared.volume
    if expected is None:
        return Verdict()
    known = {**before, **landed}
    failures = []
    for day in sorted(landed):
        window = [day - timedelta(days=offset) for offset in range(1, expected.median_over_days + 1)]
        counts = [known[earlier] for earlier in window if earlier in known]
        if len(counts) < expected.judged_from_days or not (usual := median(counts)):
            continue
        share = landed[day] / usual
        if not expected.least_of_median <= share <= expected.most_of_median:
            failures.append(
                f"{landed[day]:,} rows on {day} are {share:.2g} times the usual {usual:,.0f} "
                f"(expected {expected.least_of_median:g} to {expected.most_of_median:g})"
            )
    return Verdict.of(failures)


def judge_freshness(declared: TableDeclaration, newest: date | None, now: datetime) -> Verdict:
    """Hold the end of the newest landed day against the promise of the source."""
    if declared.freshness is None:
        return Verdict()
    if newest is None:
        return Verdict.of([f"no day of {declared.name} is landed"])
    age = now - datetime.combine(newest + timedelta(days=1), time(), UTC)
    if age <= declared.freshness:
        return Verdict()
    return Verdict.of([f"the newest landed day, {newest}, ended {_hours(age)} h ago > {_hours(declared.freshness)} h"])


def judge_schema(declared: TableDeclaration, found: Mapping[str, str], before: Mapping[str, str]) -> Verdict:
    """Hold the types of the source's columns against those they had; ``absent``: no row had a value."""
    failures = [
        f"{name} was {before[name]} and is {kind}"
        for name, kind in found.items()
        if name in declared.names and name in before and before[name] != kind
    ]
    failures += [
        f"no row has a value for {name}; if its column was renamed, say so in ML_PLATFORM_SOURCE_COLUMNS"
        for name, kind in found.items()
        if kind == ABSENT and name in declared.names
    ]
    return Verdict.of(failures)


def judge_quarantine(declared: TableDeclaration, accepted: int, quarantined: int) -> Verdict:
    """Hold the share of quarantined rows against the most that is declared."""
    rate, most = quarantined / max(accepted + quarantined, 1), declared.max_quarantined_rate
    return Verdict.of([f"{100 * rate:.2f} % of the rows quarantined > {100 * most:g} %"] if rate > most else [])


ABSENT = "absent"
"""The type of a column without a value in any row."""


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:.0f}"
