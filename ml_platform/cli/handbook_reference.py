"""The Handbook's derived features computed the book's way, with pandas, to hold ours against.

The book (chapter 3, "Baseline feature transformation") rolls over each card's and terminal's payments in file order. So
of two payments of a card in the same second its first one does not see the second; ours sees both, because no order is
known within a second. Such a payment is a tie row. It may equal the book's value in file order, or the one that the
book has once the second is over: that of the second's last payment, which is the same in any order. Every other row has
only one value to equal.
"""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_TOLERANCE = 1e-9

_WINDOWS = (1, 7, 30)
_DELAY = 7
_SECOND_OF_A_CARD = ("customer_id", "event_time")


class BookComparison(BaseModel):
    """Our features beside the book's way of computing them."""

    model_config = ConfigDict(frozen=True)

    rows: int
    features: int
    tie_rows: int = Field(description="Rows whose card pays again in the same second.")
    differing_rows: int = Field(description="Rows in which any feature differs by more than 1e-9 from file order's.")
    explained_rows: int = Field(description="Of those, tie rows that equal the book's once their second is over.")
    differences: dict[str, int] = Field(description="Rows that differ, by feature; features that agree are absent.")

    @property
    def unexplained_rows(self) -> int:
        """Rows that differ, and not by the order within a second alone."""
        return self.differing_rows - self.explained_rows


def compare_tables_with_book(store: ObjectStore, data: Path, first: date, last: date) -> BookComparison:
    """Compare the feature tables and the calendar with what the book makes of its own file.

    A payment without a row in a table differs.
    """
    import polars as pl

    from ml_platform.features.windows.payments import FEATURE_TABLES

    payments, frauds = read_book(data)
    ids = payments.select("transaction_id")
    tables = [
        ids.join(
            DailyTable(store, table.name).read(first, last, ("transaction_id", *table.feature_names)),
            on="transaction_id",
            how="left",
            maintain_order="left",
        ).drop("transaction_id")
        for table in FEATURE_TABLES
    ]
    return compare_with_book(payments, frauds, pl.concat([*tables, calendar_features(payments)], how="horizontal"))


def calendar_features(payments: "pl.DataFrame") -> "pl.DataFrame":
    """Return ``is_weekend`` and ``is_night`` of payments in their order, as a request would be given them."""
    import polars as pl

    from feature_repo.on_demand_views import payment_calendar

    return pl.DataFrame(
        payment_calendar.feature_transformation.udf({"transaction_time": payments["event_time"].to_list()})
    )


def read_book(data: Path) -> "tuple[pl.DataFrame, pl.Series]":
    """Return the payments of the book's file under our names, and which of them are frauds, both in its order."""
    import polars as pl

    raw = pl.read_parquet(data)
    payments = raw.select(
        transaction_id=pl.col("TRANSACTION_ID").cast(pl.String),
        event_time=pl.col("TX_DATETIME").dt.cast_time_unit("us").dt.replace_time_zone("UTC"),
        customer_id=pl.col("CUSTOMER_ID").cast(pl.String),
        terminal_id=pl.col("TERMINAL_ID").cast(pl.String),
        amount="TX_AMOUNT",
    )
    return payments, raw["TX_FRAUD"]


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
    second_over = pl.concat([payments.select(_SECOND_OF_A_CARD), book], how="horizontal").select(
        pl.col(name).last().over(_SECOND_OF_A_CARD) if name.startswith("card_") else pl.col(name) for name in names
    )
    differs, differs_then = (_differs(features, theirs) for theirs in (book, second_over))
    rows = differs.select(pl.any_horizontal(pl.all())).to_series()
    explained = ~differs_then.select(pl.any_horizontal(pl.all())).to_series()
    tied = payments.select(pl.struct(_SECOND_OF_A_CARD).is_duplicated()).to_series()
    return BookComparison(
        rows=payments.height,
        features=len(names),
        tie_rows=int(tied.sum()),
        differing_rows=int(rows.sum()),
        explained_rows=int((rows & tied & explained).sum()),
        differences={name: count for name in names if (count := int(differs[name].sum()))},
    )


def _differs(ours: "pl.DataFrame", theirs: "pl.DataFrame") -> "pl.DataFrame":
    """Return which values differ; one that is missing does."""
    import polars as pl

    return ours.select(
        ((pl.col(name).cast(pl.Float64) - theirs[name]).abs() > _TOLERANCE).fill_null(value=True)
        for name in theirs.columns
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
