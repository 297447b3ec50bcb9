"""The Handbook's features, row by row: ours equal the book's way but where a card pays twice in a second."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from feature_repo.on_demand_views import payment_calendar
from ml_platform.cli.handbook_reference import MAX_TIE_ROWS, compare_with_book
from ml_platform.features.windows.on_polars.engine import window_features
from ml_platform.features.windows.payments import card_activity, terminal_risk
from tests.unit.features import worlds

DATA = Path(__file__).parents[5] / "shared" / "data" / "handbook_transactions.parquet"


DAYS = 50


def _features(payments: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    calendar = payment_calendar.feature_transformation.udf({"transaction_time": payments["event_time"].to_list()})
    cards = window_features(card_activity, payments).select(card_activity.feature_names)
    terminals = window_features(terminal_risk, payments, labels).select(terminal_risk.feature_names)
    return pl.concat([cards, terminals, pl.DataFrame(calendar)], how="horizontal")


def _labels(payments: pl.DataFrame, frauds: pl.Series) -> pl.DataFrame:
    return payments.select(
        "transaction_id",
        frauds.cast(pl.Int8).alias("label"),
        "event_time",
        known_time=pl.col("event_time") + timedelta(7),
    )


@pytest.mark.skipif(not DATA.exists(), reason="the Handbook's data is not in this checkout; the product never needs it")
def test_only_documented_tie_rows_differ_from_the_handbook() -> None:
    """The first 50 days: every window is full in them. All 183 days were compared once, by hand: 29 rows."""
    raw = pl.read_parquet(DATA).filter(pl.col("TX_TIME_DAYS") < DAYS)
    payments = raw.select(
        transaction_id=pl.col("TRANSACTION_ID").cast(pl.String),
        event_time=pl.col("TX_DATETIME").dt.cast_time_unit("us").dt.replace_time_zone("UTC"),
        customer_id=pl.col("CUSTOMER_ID").cast(pl.String),
        terminal_id=pl.col("TERMINAL_ID").cast(pl.String),
        amount="TX_AMOUNT",
    )
    compared = compare_with_book(payments, raw["TX_FRAUD"], _features(payments, _labels(payments, raw["TX_FRAUD"])))
    assert compared.rows == raw.height > 400_000
    assert 0 < compared.differing_rows <= MAX_TIE_ROWS
    assert compared.explained_rows == compared.differing_rows
    assert all(name.startswith("card_") for name in compared.differences)


def test_a_wrong_window_is_found() -> None:
    payments = worlds.payments(days=40, per_day=20).with_columns(
        event_time=pl.col("event_time") + pl.int_range(pl.len()) * timedelta(seconds=1)
    )
    payments = payments.sort("event_time")
    frauds = (pl.Series(range(payments.height)) % 9 == 0).cast(pl.Int8)
    features = _features(payments, _labels(payments, frauds))
    assert compare_with_book(payments, frauds, features).differences == {}
    wrong = features.with_columns(terminal_fraud_rate_7d="terminal_fraud_rate_30d")
    assert set(compare_with_book(payments, frauds, wrong).differences) == {"terminal_fraud_rate_7d"}
