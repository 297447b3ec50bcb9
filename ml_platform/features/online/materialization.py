"""Feast materialization: the newest feature row of each card and terminal, copied to the online store."""

import contextlib
import io
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core.errors import FeatureError
from ml_platform.core.settings import Settings
from ml_platform.features.store import feature_store

if TYPE_CHECKING:
    from feast import FeatureStore


_OVERLAP_DAYS = 3
"""Always read back this far: rows that came late or were corrected must reach the store too."""


class MaterializationReport(BaseModel):
    """What was copied."""

    model_config = ConfigDict(frozen=True)

    start: datetime = Field(description="First instant of the rows looked at.")
    end: datetime = Field(description="Instant before which rows were looked at.")
    views: tuple[str, ...]
    seconds: float


def materialize_online(settings: Settings, day_end: datetime, days: int) -> MaterializationReport:
    """Bring the online store to the newest feature rows before ``day_end``.

    Materializing a day again, or an older day after a newer one, never takes the store back: the range is then read
    up to the newest instant ever materialized, so that corrections arrive and newer rows win.

    Args:
        settings: The platform's settings.
        day_end: Midnight (UTC) that ends the newest day to serve.
        days: Days to read back from there, or from where the store was left when that is earlier; at least three are
            read. The first time, as many as features live.

    Raises:
        FeatureError: When no feature was computed in these days.
    """
    started = time.monotonic()
    store = feature_store(settings)
    day_end = day_end.astimezone(UTC)
    ends = _ends(store)
    start = min([day_end, *ends]) - timedelta(days=max(days, _OVERLAP_DAYS))
    if materialized_until(store) is None:
        start = min(start, day_end - _longest_time_to_live(store))
    newest = max([day_end, *ends])
    # Feast's end is inclusive; a row of the next midnight belongs to the next day.
    end = newest - timedelta(microseconds=1)
    views = sorted(view.name for view in store.list_feature_views() if view.online)
    # Feast reports on stdout; what it has to say is in our report.
    with contextlib.redirect_stdout(io.StringIO()):
        store.materialize(start, end, feature_views=views)
    return MaterializationReport(
        start=start, end=newest, views=tuple(views), seconds=round(time.monotonic() - started, 3)
    )


def materialized_until(store: "FeatureStore") -> datetime | None:
    """Return the midnight up to which all views were materialized, or None when one never was."""
    ends = _ends(store)
    return min(ends) if ends and len(ends) == sum(view.online for view in store.list_feature_views()) else None


def _ends(store: "FeatureStore") -> list[datetime]:
    """Return the newest midnight of each view that was ever materialized."""
    ends = [view.most_recent_end_time for view in store.list_feature_views() if view.online]
    return [end.replace(tzinfo=UTC) + timedelta(microseconds=1) for end in ends if end is not None]


def _longest_time_to_live(store: "FeatureStore") -> timedelta:
    return max((view.ttl for view in store.list_feature_views() if view.ttl), default=timedelta(0))


def require_materialized(store: "FeatureStore") -> datetime:
    """Return ``materialized_until``, or say how to get there.

    Raises:
        FeatureError: When the online store was never filled.
    """
    until = materialized_until(store)
    if until is None:
        raise FeatureError("The online store was never filled. Materialize payments/online_features first.")
    return until
