"""Parsing: what sources write as times, ids, amounts and labels becomes one type; what cannot be read becomes null."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import polars as pl
import pytest

from ml_platform.ingestion import schema
from ml_platform.ingestion.declaration import TABLES

MOMENT = datetime(2026, 1, 5, 10, 30, tzinfo=UTC)
EPOCH_SECONDS = int(MOMENT.timestamp())


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-05 10:30:00",
        "2026-01-05T10:30:00",
        "2026-01-05T10:30:00.000000",
        "2026-01-05T10:30:00Z",
        "2026-01-05T12:30:00+02:00",
        "2026-01-05 12:30:00.000+0200",
        " 2026-01-05 10:30 ",
        str(EPOCH_SECONDS),
        str(EPOCH_SECONDS * 1000),
    ],
)
def test_a_written_time_is_an_instant_in_utc(written: str) -> None:
    assert schema.parse_times(pl.Series("event_time", [written])).to_list() == [MOMENT]


def test_a_written_date_is_its_midnight() -> None:
    assert schema.parse_times(pl.Series(["2026-01-05"])).to_list() == [datetime(2026, 1, 5, tzinfo=UTC)]


def test_one_column_may_mix_formats_and_keeps_its_order_and_name() -> None:
    parsed = schema.parse_times(
        pl.Series("known_time", ["2026-01-05T10:30:00Z", None, "", "never", "2026-01-05 10:30"])
    )
    assert parsed.to_list() == [MOMENT, None, None, None, MOMENT]
    assert parsed.name == "known_time"
    assert parsed.dtype == pl.Datetime("us", "UTC")


@pytest.mark.parametrize("digits", ["20260105", "596"])
def test_short_digits_are_no_instant_of_1970(digits: str) -> None:
    assert schema.parse_times(pl.Series([digits])).to_list() == [None]


@pytest.mark.parametrize("factor", [1, 10**3, 10**6, 10**9])
def test_epoch_numbers_say_their_unit_by_their_size(factor: int) -> None:
    assert schema.parse_times(pl.Series([EPOCH_SECONDS * factor])).to_list() == [MOMENT]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_naive_timestamps_are_utc(unit: Any) -> None:
    values = pl.Series([MOMENT.replace(tzinfo=None)], dtype=pl.Datetime(unit))
    assert schema.parse_times(values).to_list() == [MOMENT]


def test_zoned_timestamps_and_dates_become_utc() -> None:
    zoned = pl.Series([MOMENT.astimezone(timezone(timedelta(hours=9)))]).dt.convert_time_zone("Asia/Tokyo")
    assert schema.parse_times(zoned).to_list() == [MOMENT]
    assert schema.parse_times(pl.Series([date(2026, 1, 5)])).to_list() == [datetime(2026, 1, 5, tzinfo=UTC)]


@pytest.mark.parametrize("values", [pl.Series([None, None]), pl.Series([True, False])])
def test_what_is_no_time_at_all_is_null(values: pl.Series) -> None:
    assert schema.parse_times(values).to_list() == [None, None]


def test_ids_are_strings_and_blank_ones_null() -> None:
    assert schema.parse_ids(pl.Series([596, None], dtype=pl.Int16)).to_list() == ["596", None]
    assert schema.parse_ids(pl.Series([596.0, None])).to_list() == ["596", None]
    assert schema.parse_ids(pl.Series([1.5])).to_list() == ["1.5"]
    assert schema.parse_ids(pl.Series([" a ", " ", None])).to_list() == ["a", None, None]


def test_labels_are_0_or_1_however_they_are_spelt() -> None:
    assert schema.parse_labels(pl.Series(["1", "0.0", "TRUE", "false", "2", "x"])).to_list() == [1, 0, 1, 0, None, None]
    assert schema.parse_labels(pl.Series([True, False])).to_list() == [1, 0]
    assert schema.parse_labels(pl.Series([1.0, float("nan"), 3.0])).to_list() == [1, None, None]
    assert schema.parse_labels(pl.Series([1, 0], dtype=pl.Int8)).dtype == pl.Int8


def test_the_empty_tables_have_the_columns_of_the_full_ones() -> None:
    for declared in TABLES:
        assert tuple(schema.empty_table(declared).columns) == declared.names
