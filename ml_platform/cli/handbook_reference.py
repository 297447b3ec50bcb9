"""The Handbook's derived features computed the book's way, with pandas, to hold ours against.

The book (chapter 3, "Baseline feature transformation") rolls over each card's and terminal's payments in file order. So
of two payments of a card in the same second its first one does not see the second; ours sees both, because no order is
known within a second. Those rows, and no others, may differ.
"""

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

MAX_TIE_ROWS = 29
"""Rows of the whole data whose card pays again in the same second."""

_TOLERANCE = 1e-9

_WINDOWS = (1, 7, 30)
_DELAY = 7


class BookComparison(BaseModel):
    """Our features beside the book's way of computing them."""

    model_config = ConfigDict(frozen=True)

    rows: int
    differing_rows: int = Field(description="Rows in which any feature differs by more than 1e-9.")
    explained_rows: int = Field(description="Of those, rows whose card paid twice in that second.")
    differences: dict[str, int] = Field(description="Rows that differ, by feature; features that agree are absent.")


def compare_with_book(payments: "pl.DataFrame", frauds: "pl.Series", features: "pl.DataFrame") -> BookComparison:
    """Compare features with the book's.

    Args:
        payments: All payments, in the order of the book's file.
        frauds: Which of them are frauds, 0 or 1, in that order.
        features: Ours, in that order.
    """
    import polars as pl

    book = pl.from_pandas(book_features(payments.with_columns(_fraud=frauds).to_pandas()))
    names = book.columns
    differs = features.select(names).select(
        (pl.col(name).cast(pl.Float64) - book[name]).abs() > _TOLERANCE for name in names
    )
    rows = differs.select(pl.any_horizontal(pl.all()))
    tied = payments.select(pl.struct("customer_id", "event_time").is_duplicated())
    return BookComparison(
        rows=payments.height,
        differing_rows=int(rows.to_series().sum()),
        explained_rows=int((rows.to_series() & tied.to_series()).sum()),
        differences={name: count for name in names if (count := int(differs[name].sum()))},
    )


def book_features(payments: "pd.DataFrame") -> "pd.DataFrame":
    """Return the book's twelve window features and two calendar features of payments in file order."""
    import pandas as pd

    features = pd.DataFrame(index=payments.index)
    # pandas' Monday is 0.
    features["is_weekend"] = (payments["event_time"].dt.weekday >= 5).astype(float)  # noqa: PLR2004
    features["is_night"] = (payments["event_time"].dt.hour <= 6).astype(float)  # noqa: PLR2004
    for days in _WINDOWS:
        count, total = _rolled(payments, "customer_id", "amount", days)
        features[f"card_tx_count_{days}d"] = count
        features[f"card_amount_mean_{days}d"] = total / count
    late_count, late_frauds = _rolled(payments, "terminal_id", "_fraud", _DELAY)
    for days in _WINDOWS:
        count, frauds = _rolled(payments, "terminal_id", "_fraud", _DELAY + days)
        seen = count - late_count
        features[f"terminal_tx_count_{days}d"] = seen
        features[f"terminal_fraud_rate_{days}d"] = ((frauds - late_frauds) / seen).fillna(0.0)
    return features


def _rolled(payments: "pd.DataFrame", key: str, column: str, days: int) -> "tuple[pd.Series, pd.Series]":
    """Return how many payments of the same key the last days have up to each, and the column's sum over them."""
    import pandas as pd

    ordered = payments.sort_values(key, kind="stable")
    rolling = ordered.set_index("event_time").groupby(key)[column].rolling(f"{days}D")
    count, total = (pd.Series(values.to_numpy(), index=ordered.index) for values in (rolling.count(), rolling.sum()))
    return count.sort_index(), total.sort_index()
