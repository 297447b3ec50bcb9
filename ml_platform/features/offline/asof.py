"""The point-in-time join: for every entity row, the newest feature row that existed at its instant.

Pure polars. Every entity row comes back exactly once and in its place; Feast's own offline stores either drop rows
or join all pairs first. Reading the rows and speaking Feast is ``features.asof_store``.
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
    """When a feature row is about. It matches at an instant when ``event <= instant``."""

    created_column: str | None = None
    """When it was written: of rows about the same instant the newest counts."""

    time_to_live: timedelta | None = None
    """A row older than this at the instant is as good as none. Exactly this old still counts."""

    only_if_created: bool = False
    """Whether a row must also have been written by the instant."""


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
    candidates = rows.drop_nulls([*keys, rule.event_column])
    left = (
        entities.select(*(pl.col(key).cast(rows.schema[key]) for key in keys), _instant=instant_column)
        .with_row_index("_row")
        .sort("_instant")
    )
    joined = left.join_asof(
        _one_row_per_instant(candidates, rule).select(*keys, "_from", _event=rule.event_column, **_renamed(features)),
        left_on="_instant",
        right_on="_from",
        by=keys,
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
    order = [rule.event_column, *([rule.created_column] if rule.created_column else [])]
    return rows.sort(order, maintain_order=True).unique(list(rule.keys), keep="last", maintain_order=True)


def _one_row_per_instant(rows: "pl.DataFrame", rule: AsofRule) -> "pl.DataFrame":
    """Return the rows that can ever match, sorted by ``_from``, the instant from which each one does."""
    import polars as pl

    keys = list(rule.keys)
    order = [rule.event_column, *([rule.created_column] if rule.created_column else [])]
    ranked = rows.sort(order, maintain_order=True).with_columns(_from=pl.col(rule.event_column))
    if rule.only_if_created and rule.created_column:
        available = pl.max_horizontal(rule.event_column, rule.created_column)
        ranked = (
            ranked.with_columns(_from=available)
            .with_row_index("_rank")
            .sort("_from", "_rank")
            # A row written after a newer one was never the newest.
            .filter(pl.col("_rank") == pl.col("_rank").cum_max().over(keys))
        )
    return ranked.unique([*keys, "_from"], keep="last", maintain_order=True)


def _renamed(features: Sequence[str], *, flip: bool = False) -> dict[str, str]:
    """Map positional names to features, or back, so that a feature may be called like a column of ours."""
    pairs = {f"_f{position}": feature for position, feature in enumerate(features)}
    return {feature: name for name, feature in pairs.items()} if flip else pairs
