"""Quality rules: each bad row is quarantined with its reason, and only bad rows are."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from ml_platform.ingestion.declaration import FRAUD_LABELS, TRANSACTIONS
from ml_platform.ingestion.quality import split_rows

DAY = date(2026, 1, 5)
GOOD: dict[str, Any] = {
    "transaction_id": "t1",
    "event_time": "2026-01-05 10:00:00",
    "customer_id": "c1",
    "terminal_id": "x1",
    "amount": "12.50",
    "partition_day": DAY,
}
LABEL: dict[str, Any] = {
    "transaction_id": "t1",
    "label": "1",
    "event_time": "2026-01-05 10:00:00",
    "known_time": "2026-01-09 10:00:00",
    "partition_day": date(2026, 1, 9),
}


def rows(template: dict[str, Any], *changes: dict[str, Any]) -> pl.DataFrame:
    """One row per change of the template, all strings but the day, as from CSV."""
    types = {column: pl.Date if column == "partition_day" else pl.String for column in template}
    return pl.DataFrame([template | change for change in changes], schema=types)


def test_a_good_row_gets_the_types_of_the_table() -> None:
    split = split_rows(TRANSACTIONS, rows(GOOD, {}))
    assert split.quarantined.is_empty()
    assert split.reasons() == {}
    assert split.good.drop("partition_day").schema == {
        "transaction_id": pl.String,
        "event_time": pl.Datetime("us", "UTC"),
        "customer_id": pl.String,
        "terminal_id": pl.String,
        "amount": pl.Float64,
        "tenant": pl.String,
    }


def test_nobody_has_to_name_a_tenant_and_a_blank_one_is_none() -> None:
    assert split_rows(TRANSACTIONS, rows(GOOD, {})).good["tenant"].to_list() == [None]
    named = split_rows(TRANSACTIONS, rows(GOOD | {"tenant": ""}, {"tenant": " north "}, {"transaction_id": "t2"}))
    assert named.good["tenant"].to_list() == ["north", None]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"transaction_id": None}, "transaction_id missing"),
        ({"transaction_id": "  "}, "transaction_id missing"),
        ({"customer_id": None}, "customer_id missing"),
        ({"terminal_id": ""}, "terminal_id missing"),
        ({"event_time": None}, "event_time missing"),
        ({"event_time": "yesterday"}, "event_time unparsable"),
        ({"event_time": "2026-13-45 10:00:00"}, "event_time unparsable"),
        ({"event_time": "2026-01-06 00:00:00"}, "event_time outside the partition day"),
        ({"event_time": "2026-01-05T23:30:00-02:00"}, "event_time outside the partition day"),
        ({"amount": None}, "amount missing"),
        ({"amount": " "}, "amount missing"),
        ({"amount": "twelve"}, "amount not a number"),
        ({"amount": "NaN"}, "amount not a number"),
        ({"amount": "inf"}, "amount infinite"),
        ({"amount": "-0.01"}, "amount negative"),
    ],
)
def test_a_bad_row_is_quarantined_with_its_reason(change: dict[str, Any], reason: str) -> None:
    split = split_rows(TRANSACTIONS, rows(GOOD, {"transaction_id": "t0"}, change))
    assert split.good["transaction_id"].to_list() == ["t0"]
    assert split.quarantined["reason"].to_list() == [reason]


def test_a_quarantined_row_keeps_what_the_source_gave() -> None:
    split = split_rows(TRANSACTIONS, rows(GOOD, {"amount": "twelve", "event_time": "soon"}))
    reason = "event_time unparsable; amount not a number"
    given = GOOD | {"amount": "twelve", "event_time": "soon"}
    assert split.quarantined.to_dicts() == [given | {"tenant": None, "payload": None, "reason": reason}]


def test_reasons_are_counted_one_by_one_and_the_most_frequent_comes_first() -> None:
    split = split_rows(TRANSACTIONS, rows(GOOD, {"amount": "-1"}, {"amount": "-2", "customer_id": ""}))
    assert list(split.reasons().items()) == [("amount negative", 2), ("customer_id missing", 1)]


def test_of_repeated_ids_the_first_is_kept_also_across_days() -> None:
    next_day = {"event_time": "2026-01-06 10:00:00", "partition_day": date(2026, 1, 6)}
    split = split_rows(TRANSACTIONS, rows(GOOD, {"amount": "1"}, {"amount": "2"}, {"amount": "3"} | next_day))
    assert split.good["amount"].to_list() == [1.0]
    assert split.quarantined["amount"].to_list() == ["2", "3"]
    assert split.reasons() == {"transaction_id duplicate": 2}


def test_a_bad_row_does_not_make_its_good_repetition_a_duplicate() -> None:
    split = split_rows(TRANSACTIONS, rows(GOOD, {"amount": "-1"}, {"amount": "1"}, {"amount": "-3"}))
    assert split.good["amount"].to_list() == [1.0]
    assert split.quarantined["reason"].to_list() == ["amount negative", "amount negative; transaction_id duplicate"]


def test_repetitions_are_told_apart_among_many_ids() -> None:
    ids = ["a", "b", "a", "c", "b", "d", "a"]
    split = split_rows(
        TRANSACTIONS, rows(GOOD, *({"transaction_id": name, "amount": str(n)} for n, name in enumerate(ids)))
    )
    assert split.good["amount"].to_list() == [0.0, 1.0, 3.0, 5.0]
    assert split.quarantined["amount"].to_list() == ["2", "4", "6"]


def test_rows_without_an_id_are_not_duplicates_of_each_other() -> None:
    split = split_rows(TRANSACTIONS, rows(GOOD, {}, {"transaction_id": None}, {"transaction_id": None}))
    assert split.reasons() == {"transaction_id missing": 2}


def test_typed_columns_obey_the_same_rules() -> None:
    raw = pl.DataFrame(
        {
            "transaction_id": pl.Series([1, 2, 3, 4], dtype=pl.Int32),
            "event_time": pl.Series(["2026-01-05 09:00:00"] * 3 + [None]).str.to_datetime(time_unit="ns"),
            "customer_id": pl.Series([596.0, None, 7.0, 8.0]),
            "terminal_id": pl.Series([1, 2, 3, 4], dtype=pl.Int16),
            "amount": [1.5, 2.5, float("nan"), float("inf")],
            "partition_day": [DAY] * 4,
        }
    )
    split = split_rows(TRANSACTIONS, raw)
    assert split.good.row(0) == ("1", datetime(2026, 1, 5, 9, tzinfo=UTC), "596", "1", 1.5, None, DAY)
    assert split.quarantined["reason"].to_list() == [
        "customer_id missing",
        "amount missing",
        "event_time missing; amount infinite",
    ]


def test_a_zero_amount_is_good() -> None:
    assert split_rows(TRANSACTIONS, rows(GOOD, {"amount": "0"})).quarantined.is_empty()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"transaction_id": ""}, "transaction_id missing"),
        ({"label": "2"}, "label neither 0 nor 1"),
        ({"label": "maybe"}, "label neither 0 nor 1"),
        ({"event_time": "?"}, "event_time unparsable"),
        ({"known_time": ""}, "known_time missing"),
        ({"known_time": "2026-01-10"}, "known_time outside the partition day"),
        ({"event_time": "2026-02-01"}, "known_time before event_time"),
    ],
)
def test_a_bad_label_is_quarantined_with_its_reason(change: dict[str, Any], reason: str) -> None:
    split = split_rows(FRAUD_LABELS, rows(LABEL, {"transaction_id": "t0"}, change))
    assert split.good["transaction_id"].to_list() == ["t0"]
    assert split.quarantined["reason"].to_list() == [reason]


def test_a_transaction_may_have_several_labels_but_only_one_at_a_time() -> None:
    correction = {"known_time": "2026-01-09 11:00:00", "label": "0"}
    split = split_rows(FRAUD_LABELS, rows(LABEL, {}, correction, {"label": "0"}))
    assert split.good["label"].to_list() == [1, 0]
    assert split.reasons() == {"transaction_id duplicate": 1}
    known = split.good["known_time"]
    assert known[1] - known[0] == timedelta(hours=1)
