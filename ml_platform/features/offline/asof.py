"""The point-in-time join: for every entity row, the newest feature row that existed at its instant.

Pure polars. Every entity row comes back exactly once and in its place; Feast's own offline stores either drop rows
or join all pairs first. Reading the rows and speaking Feast is ``features.offline.asof_store``.

A row must not see itself: a feature row that is stamped with an event's own time, and counts that event, would be
matched to it by ``<=``. So a row matches only *before* the instant, unless its view says that the event to be judged
belongs into its own windows (``AsofRule.sees_own_instant``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ml_platform.core.errors import FeatureError

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class AsofRule:
    """Which feature row belongs to an entity row."""

    keys: Sequence[str]
    """Columns that must be equal; named alike on both sides."""

    event_column: str
    """When a feature row is about. It matches at an instant when ``event < instant``."""

    created_column: str | None = None
    """When it was written: of rows about the same instant the newest counts."""

    time_to_live: timedelta | None = None
    """A row older than this at the instant is as good as none. Exactly this old still counts."""

    only_if_created: bool = False
    """Whether a row must also have been written by the instant (``created <= instant``)."""

    sees_own_instant: bool = False
    """Whether a row about the very instant matches too, as in Feast's own stores: ``event <= instant``."""


def join_as_of(
    entities: "pl.DataFrame", rows: "pl.DataFrame", instant_column: str, features: Sequence[str], rule: AsofRule
) -> "pl.DataFrame":
    """Return the features of each entity row, in the entities' order; null where there are none.

    Args:
        entities: Keys and instant; any other columns are ignored.
        rows: Keys, times and features.
        instant_column: Column of ``entities`` that says when.
        features: Columns of ``rows`` to return.
        rule: Which row belongs.

    Raises:
        FeatureError: When the join would not keep the rows.
    """
    import polars as pl

    keys = list(rule.keys)
    candidates = _matchable(rows, rule)
    left = (
        entities.select(
            *(pl.col(key).cast(rows.schema[key]) for key in keys),
            _instant=pl.col(instant_column).cast(candidates.schema["_from"]),
        )
        .with_row_index("_row")
        .sort("_instant")
    )
    joined = left.join_asof(
        candidates.select(*keys, "_from", _event=rule.event_column, **_renamed(features)),
        left_on="_instant",
        right_on="_from",
        by=keys,
        # Of rows that match from the same instant on the last is taken: the newest, as they are sorted.
        allow_exact_matches=_matches_exactly(rule),
        check_sortedness=False,  # both sides were sorted just now; polars cannot check within groups and warns
    )
    fresh = pl.lit(value=True)
    if rule.time_to_live is not None:
        fresh = pl.col("_instant") - pl.col("_event") <= rule.time_to_live
    result = joined.sort("_row").select(
        pl.when(fresh).then(pl.col(column)).alias(name) for name, column in _renamed(features, flip=True).items()
    )
    if result.height != entities.height:
        raise FeatureError(f"The point-in-time join of {entities.height} rows gave {result.height}: rows were lost.")
    return result


def newest_per_key(rows: "pl.DataFrame", rule: AsofRule) -> "pl.DataFrame":
    """Return the newest row of each key."""
    return _oldest_first(rows, rule).unique(list(rule.keys), keep="last", maintain_order=True)


def _matches_exactly(rule: AsofRule) -> bool:
    """Whether ``_from`` itself is an instant at which a row matches; as-known rows carry the difference in it."""
    return rule.sees_own_instant or _as_known(rule)


def _as_known(rule: AsofRule) -> bool:
    return rule.only_if_created and rule.created_column is not None


def _matchable(rows: "pl.DataFrame", rule: AsofRule) -> "pl.DataFrame":
    """Return the rows that can ever match, sorted by ``_from``, the instant from which each one does."""
    import polars as pl

    needed = [*rule.keys, rule.event_column]
    if any(rows[column].null_count() for column in needed):  # dropping copies all rows, so only where there are any
        rows = rows.drop_nulls(needed)
    ranked = _oldest_first(rows, rule)
    if not _as_known(rule):
        return ranked.with_columns(_from=rule.event_column)
    event, created = pl.col(rule.event_column), pl.col(rule.created_column or "")
    seen = event if rule.sees_own_instant else event + pl.duration(microseconds=1)
    known = ranked.with_columns(_from=pl.max_horizontal(seen, created.cast(rows.schema[rule.event_column])))
    # Nobody knows when a row without a time of creation was written: it never matches.
    known = known.filter(created.is_not_null()) if known[rule.created_column or ""].null_count() else known
    if known["_from"].is_sorted():
        return known
    return (
        known.with_row_index("_rank")
        .sort("_from", "_rank")
        # A row written after a newer one was never the newest.
        .filter(pl.col("_rank") == pl.col("_rank").cum_max().over(list(rule.keys)))
    )


def _oldest_first(rows: "pl.DataFrame", rule: AsofRule) -> "pl.DataFrame":
    """Return the rows by event, those of one instant by creation; sorting is most of a join's cost, so only if needed.

    Tables are written in the order of events, so most are sorted already.
    """
    import polars as pl

    order = [rule.event_column, *([rule.created_column] if rule.created_column else [])]
    later = pl.col(order[0]) > pl.col(order[0]).shift(1)
    if len(order) > 1:
        tied = pl.col(order[0]) == pl.col(order[0]).shift(1)
        later |= tied & (pl.col(order[1]) >= pl.col(order[1]).shift(1))
    else:
        later |= pl.col(order[0]) == pl.col(order[0]).shift(1)
    in_order = rows.select(later.slice(1).fill_null(value=False).all()).item()
    return rows if in_order else rows.sort(order, maintain_order=True)


def _renamed(features: Sequence[str], *, flip: bool = False) -> dict[str, str]:
    """Map positional names to features, or back, so that a feature may be called like a column of ours."""
    pairs = {f"_f{position}": feature for position, feature in enumerate(features)}
    return {feature: name for name, feature in pairs.items()} if flip else pairs
