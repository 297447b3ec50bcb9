"""Whatever the rows and their order: each entity row gets what a search through all rows finds, and nothing later."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_platform.features.offline.asof import AsofRule, join_as_of

START = datetime(2026, 3, 29, tzinfo=UTC)  # a day on which European clocks change; ours are UTC
TTL = 6
Row = tuple[str | None, int, int, int]
"""Key, event and creation in ticks, value."""

TICKS = st.integers(0, 20)
ROWS = st.lists(st.tuples(st.sampled_from(["a", "b", None]), TICKS, TICKS, st.integers(0, 999)), max_size=25)
ENTITIES = st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), TICKS), min_size=1, max_size=12)
RULES = st.builds(
    AsofRule,
    keys=st.just(["key"]),
    event_column=st.just("event"),
    created_column=st.just("created"),
    time_to_live=st.sampled_from([None, timedelta(microseconds=TTL)]),
    only_if_created=st.booleans(),
    sees_own_instant=st.booleans(),
)
_INSTANT = pl.Datetime("us", "UTC")


def searched(entity: tuple[str | None, int], rows: list[Row], rule: AsofRule) -> int | None:
    """The independent reference: look at every row; of those that match, the newest by event, then by creation."""
    key, at = entity
    matching = [
        (event, created, position)
        for position, (of, event, created, _) in enumerate(rows)
        if of is not None
        and of == key
        and (event <= at if rule.sees_own_instant else event < at)
        and (created <= at or not rule.only_if_created)
    ]
    if not matching:
        return None
    event, _, position = max(matching)
    expired = rule.time_to_live is not None and at - event > TTL
    return None if expired else rows[position][3]


def joined(entities: list[tuple[str | None, int]], rows: list[Row], rule: AsofRule) -> list[Any]:
    def instant(ticks: int) -> datetime:
        return START + timedelta(microseconds=ticks)

    asked = pl.DataFrame(
        [(key, instant(at)) for key, at in entities], schema={"key": pl.String, "at": _INSTANT}, orient="row"
    )
    written = pl.DataFrame(
        [(key, instant(event), instant(created), value) for key, event, created, value in rows],
        schema={"key": pl.String, "event": _INSTANT, "created": _INSTANT, "value": pl.Int64},
        orient="row",
    )
    return join_as_of(asked, written, "at", ["value"], rule)["value"].to_list()


@settings(deadline=None, max_examples=300)
@given(entities=ENTITIES, rows=ROWS, rule=RULES)
def test_the_join_equals_a_search_through_all_rows(
    entities: list[tuple[str | None, int]], rows: list[Row], rule: AsofRule
) -> None:
    assert joined(entities, rows, rule) == [searched(entity, rows, rule) for entity in entities]


@settings(deadline=None, max_examples=150)
@given(entities=ENTITIES, rows=ROWS, planted=ROWS, rule=RULES)
def test_values_of_the_future_change_nothing(
    entities: list[tuple[str | None, int]], rows: list[Row], planted: list[Row], rule: AsofRule
) -> None:
    """Rows about later instants are planted, and rows about the same one where no row may see itself."""
    newest = max(at for _, at in entities)
    first = newest + rule.sees_own_instant
    future = [(key, event + first, created, value) for key, event, created, value in planted]
    assert joined(entities, [*future, *rows], rule) == joined(entities, rows, rule)


@settings(deadline=None, max_examples=150)
@given(entities=ENTITIES, rows=ROWS, planted=ROWS, rule=RULES)
def test_what_was_written_later_changes_nothing_as_known(
    entities: list[tuple[str | None, int]], rows: list[Row], planted: list[Row], rule: AsofRule
) -> None:
    """Late rows and corrections about any instant, written after the newest entity row."""
    newest = max(at for _, at in entities)
    late = [(key, event, newest + 1 + created, value) for key, event, created, value in planted]
    known = replace(rule, only_if_created=True)
    assert joined(entities, [*rows, *late], known) == joined(entities, rows, known)


@settings(deadline=None, max_examples=100)
@given(entities=ENTITIES, rows=ROWS, rule=RULES, data=st.data())
def test_the_order_in_which_rows_and_entities_come_does_not_matter(
    entities: list[tuple[str | None, int]], rows: list[Row], rule: AsofRule, data: st.DataObject
) -> None:
    """But for rows alike in key and both times, of which the last one counts."""
    distinct = list({row[:3]: row for row in rows}.values())
    shuffled = data.draw(st.permutations(distinct))
    order = data.draw(st.permutations(range(len(entities))))
    straight = joined(entities, distinct, rule)
    assert joined([entities[place] for place in order], shuffled, rule) == [straight[place] for place in order]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_tables_may_count_time_in_any_unit(unit: Any) -> None:
    written = pl.DataFrame({"key": ["a"], "event": [START], "value": [1]}).with_columns(
        pl.col("event").cast(pl.Datetime(unit, "UTC"))
    )
    asked = pl.DataFrame({"key": ["a", "a"], "at": [START, START + timedelta(milliseconds=1)]})
    assert join_as_of(asked, written, "at", ["value"], AsofRule(["key"], "event"))["value"].to_list() == [None, 1]
