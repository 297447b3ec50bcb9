"""The Handbook's features, row by row: ours equal the book's way but where a card pays twice in a second."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.cli.handbook_reference import (
    BookComparison,
    calendar_features,
    compare_tables_with_book,
    compare_with_book,
    read_book,
)
from ml_platform.features.windows.compute import compute_features
from ml_platform.features.windows.on_polars.engine import window_features
from ml_platform.features.windows.payments import card_activity, terminal_risk
from tests.unit.features import worlds

DATA = Path(__file__).parents[5] / "shared" / "data" / "handbook_transactions.parquet"
DAYS = 45


def _features(payments: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    cards = window_features(card_activity, payments).select(card_activity.feature_names)
    terminals = window_features(terminal_risk, payments, labels).select(terminal_risk.feature_names)
    return pl.concat([cards, terminals, calendar_features(payments)], how="horizontal")


def _labels(payments: pl.DataFrame, frauds: pl.Series) -> pl.DataFrame:
    return payments.select(
        "transaction_id",
        frauds.cast(pl.Int8).alias("label"),
        "event_time",
        known_time=pl.col("event_time") + timedelta(7),
    )


def _only_ties_differ(compared: BookComparison) -> None:
    """The rule: one payment of each pair in a second differs, by card features; every other value is the book's."""
    assert 0 < compared.differing_rows == compared.explained_rows == compared.tie_rows / 2
    assert compared.unexplained_rows == 0
    assert all(name.startswith("card_") for name in compared.differences)


@pytest.mark.skipif(not DATA.exists(), reason="the Handbook's data is not in this checkout; the product never needs it")
def test_only_tie_rows_differ_from_the_handbook() -> None:
    """45 days, so that every window is full, of a tenth of the terminals and of the cards that pay twice in a second.

    ``make handbook`` compares all.
    """
    payments, frauds = read_book(DATA)
    twice = payments.filter(pl.struct("customer_id", "event_time").is_duplicated())["customer_id"].unique().implode()
    few = pl.col("customer_id").is_in(twice) | pl.col("terminal_id").str.ends_with("3")
    chosen = payments.select(few & (pl.col("event_time") < payments["event_time"][0] + timedelta(DAYS))).to_series()
    payments, frauds = payments.filter(chosen), frauds.filter(chosen)
    compared = compare_with_book(payments, frauds, _features(payments, _labels(payments, frauds)))
    assert compared.rows == payments.height > 40_000
    assert compared.features == 14
    _only_ties_differ(compared)


def _world() -> tuple[pl.DataFrame, pl.Series]:
    """Payments of different seconds, but for one pair of a card's."""
    payments = worlds.payments(days=40, per_day=20).with_columns(
        event_time=pl.col("event_time") + pl.int_range(pl.len()) * timedelta(seconds=1)
    )
    payments = payments.sort("event_time")
    twice = payments[700].with_columns(transaction_id=pl.lit("t00700-again"), amount=pl.lit(1.0))
    payments = pl.concat([payments[:701], twice, payments[701:]])
    return payments, (pl.Series(range(payments.height)) % 9 == 0).cast(pl.Int8)


def test_only_tie_rows_differ_without_the_handbooks_file_too() -> None:
    payments, frauds = _world()
    compared = compare_with_book(payments, frauds, _features(payments, _labels(payments, frauds)))
    assert (compared.rows, compared.features, compared.tie_rows) == (payments.height, 14, 2)
    _only_ties_differ(compared)


def test_the_same_number_of_rows_differs_whichever_of_a_pair_the_book_puts_first() -> None:
    payments, frauds = _world()
    features = _features(payments, _labels(payments, frauds))
    turned = [*range(700), 701, 700, *range(702, payments.height)]
    compared = compare_with_book(payments[turned], frauds[turned], features[turned])
    assert compared.tie_rows == 2
    _only_ties_differ(compared)


def test_a_wrong_window_is_found() -> None:
    payments, frauds = _world()
    features = _features(payments, _labels(payments, frauds))
    wrong = features.with_columns(terminal_fraud_rate_7d="terminal_fraud_rate_30d")
    compared = compare_with_book(payments, frauds, wrong)
    assert compared.unexplained_rows == compared.differences["terminal_fraud_rate_7d"] > 0


def test_a_tie_row_is_excused_only_for_the_value_that_its_second_ends_with() -> None:
    payments, frauds = _world()
    features = _features(payments, _labels(payments, frauds))
    tied = 700
    assert payments["event_time"][tied] == payments["event_time"][tied + 1]
    # A row must be the book's of one moment: half of it from before and half from after the second's end is an error.
    for row, change, differing in ((tied, -1, 0), (tied, 1, 1), (tied + 1, -1, 2), (650, 1, 2)):
        here = pl.int_range(pl.len()) == row
        count = pl.col("card_tx_count_7d") + pl.when(here).then(change).otherwise(0)
        compared = compare_with_book(payments, frauds, features.with_columns(count))
        assert compared.differences.get("card_tx_count_7d", 0) == differing, row
        assert compared.unexplained_rows == 1, row


def test_a_payment_without_features_differs(store: ObjectStore, tmp_path: Path) -> None:
    payments, frauds = _world()
    worlds.land(store, payments, _labels(payments, frauds))
    first, last = worlds.FIRST_DAY, payments["event_time"][-1].date()
    compute_features(store, first, last)
    raw = payments.select(
        TRANSACTION_ID="transaction_id",
        TX_DATETIME=pl.col("event_time").dt.replace_time_zone(None),
        CUSTOMER_ID="customer_id",
        TERMINAL_ID="terminal_id",
        TX_AMOUNT="amount",
        TX_FRAUD=frauds,
    )
    raw.write_parquet(tmp_path / "book.parquet")
    assert compare_tables_with_book(store, tmp_path / "book.parquet", first, last).unexplained_rows == 0
    table = DailyTable(store, terminal_risk.name)
    table.write(last, table.read(last, last)[1:])
    compared = compare_tables_with_book(store, tmp_path / "book.parquet", first, last)
    assert compared.rows == payments.height
    assert compared.unexplained_rows == 1
