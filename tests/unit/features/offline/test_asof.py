"""The point-in-time join, case by case."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from ml_platform.features.offline.asof import AsofRule, join_as_of, newest_per_key
from tests.unit.features import worlds

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
RULE = AsofRule(["key"], "event", "created", timedelta(days=1), sees_own_instant=True)


def rows(*values: tuple[str | None, datetime, datetime, int | None]) -> pl.DataFrame:
    instant = pl.Datetime("us", "UTC")
    schema = {"key": pl.String, "event": instant, "created": instant, "value": pl.Int64}
    return pl.DataFrame(list(values), schema=schema, orient="row")


def joined(
    entities: list[tuple[str | None, datetime]], features: pl.DataFrame, rule: AsofRule = RULE
) -> list[int | None]:
    asked = pl.DataFrame(entities, schema={"key": pl.String, "at": pl.Datetime("us", "UTC")}, orient="row")
    return join_as_of(asked, features, "at", ["value"], rule)["value"].to_list()


def test_a_row_of_the_very_instant_counts_and_a_later_one_does_not() -> None:
    assert joined([("a", NOON)], rows(("a", NOON, NOON, 1), ("a", NOON + TICK, NOON, 2))) == [1]
    assert joined([("a", NOON - TICK)], rows(("a", NOON, NOON, 1))) == [None]


def test_a_row_does_not_see_itself_unless_its_windows_hold_their_own_event() -> None:
    own = rows(("a", NOON, NOON - TICK, 1), ("a", NOON - TICK, NOON - TICK, 0))
    closed = replace(RULE, sees_own_instant=False)
    assert joined([("a", NOON), ("a", NOON + TICK)], own, closed) == [0, 1]
    assert joined([("a", NOON), ("a", NOON + TICK)], own, replace(closed, only_if_created=True)) == [0, 1]
    assert joined([("a", NOON)], own, replace(RULE, only_if_created=True)) == [1]


def test_of_rows_about_one_instant_the_newest_written_counts() -> None:
    tied = rows(("a", NOON, NOON + 2 * TICK, 2), ("a", NOON, NOON + 3 * TICK, 3), ("a", NOON, NOON + TICK, 1))
    assert joined([("a", NOON)], tied) == [3]


def test_a_row_lives_exactly_as_long_as_its_time_to_live() -> None:
    written = rows(("a", NOON, NOON, 1))
    assert joined([("a", NOON + timedelta(days=1)), ("a", NOON + timedelta(days=1) + TICK)], written) == [1, None]


def test_without_time_to_live_a_row_lives_for_ever() -> None:
    forever = replace(RULE, time_to_live=None)
    assert joined([("a", NOON + timedelta(days=999))], rows(("a", NOON, NOON, 1)), forever) == [1]


def test_every_entity_row_comes_back_once_and_in_its_place() -> None:
    asked = [("b", NOON), ("unknown", NOON), ("a", NOON), (None, NOON), ("b", NOON), ("a", NOON - 2 * TICK)]
    found = joined(asked, rows(("a", NOON, NOON, 1), ("b", NOON - TICK, NOON, 2), (None, NOON, NOON, 9)))
    assert found == [2, None, 1, None, 2, None]


def test_a_feature_that_is_null_stays_null_and_is_not_filled_from_an_older_row() -> None:
    assert joined([("a", NOON)], rows(("a", NOON - TICK, NOON, 1), ("a", NOON, NOON, None))) == [None]


def test_rows_written_after_the_instant_can_be_left_out() -> None:
    rule = replace(RULE, only_if_created=True)
    hour = timedelta(hours=1)
    written = rows(
        ("a", NOON, NOON + 3 * hour, 2),
        ("a", NOON - hour, NOON, 1),
        # Written last, about an earlier time: never the newest.
        ("a", NOON - hour / 2, NOON + 4 * hour, 9),
    )
    asked = [("a", NOON - TICK), ("a", NOON), ("a", NOON + 3 * hour), ("a", NOON + 5 * hour)]
    assert joined(asked, written, rule) == [None, 1, 2, 2]


def test_the_join_equals_a_search_through_all_rows() -> None:
    world = worlds.payments(days=20, per_day=20, cards=5).rename({"customer_id": "key", "event_time": "event"})
    written = world.select("key", "event", created="event", value=pl.int_range(pl.len()))
    asked = worlds.payments(days=20, per_day=5, seed=3, cards=6).select(key="customer_id", at="event_time")
    by_search = []
    for key, at in asked.iter_rows():
        matching = written.filter((pl.col("key") == key) & pl.col("event").is_between(at - timedelta(days=1), at))
        by_search.append(matching["value"].max())
    assert joined(list(asked.iter_rows()), written) == by_search


def test_the_newest_row_per_key_breaks_ties_by_creation() -> None:
    written = rows(("a", NOON, NOON + TICK, 2), ("a", NOON, NOON, 1), ("b", NOON - TICK, NOON, 3))
    assert dict(newest_per_key(written, RULE).select("key", "value").iter_rows()) == {"a": 2, "b": 3}


@pytest.mark.parametrize("name", ["key", "at", "event", "_row"])
def test_a_feature_may_be_called_like_a_column_of_ours(name: str) -> None:
    asked = pl.DataFrame({"key": ["a"], "at": [NOON]})
    written = pl.DataFrame({"k": ["a"], "e": [NOON], name: [5]}).rename({"k": "key2"})
    rule = AsofRule(["key2"], "e", sees_own_instant=True)
    assert join_as_of(asked.rename({"key": "key2"}), written, "at", [name], rule)[name].to_list() == [5]
