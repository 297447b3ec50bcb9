"""Labels as known at a cut-off: the newest known holds, what is not known yet does not exist."""

from datetime import UTC, datetime, timedelta

import polars as pl

from ml_platform.aws.objects import ObjectStore
from ml_platform.features.labels.known import labels_as_known
from ml_platform.features.offline.targets import terminal_compromised
from tests.unit.features import worlds

EVENT = datetime(2026, 1, 5, 12, tzinfo=UTC)


def history(*learnt: tuple[str, int, timedelta]) -> pl.DataFrame:
    instant = pl.Datetime("us", "UTC")
    schema = {"transaction_id": pl.String, "label": pl.Int8, "event_time": instant, "known_time": instant}
    return pl.DataFrame([(t, label, EVENT, EVENT + after) for t, label, after in learnt], schema=schema, orient="row")


def known(store: ObjectStore, cutoff: datetime) -> dict[str, int]:
    frame = labels_as_known(store, cutoff, EVENT.date(), EVENT.date())
    return dict(frame.select("transaction_id", "label").iter_rows())


def test_the_newest_label_known_at_the_cutoff_holds(store: ObjectStore) -> None:
    day = timedelta(days=1)
    labels = history(("a", 0, 7 * day), ("a", 1, 9 * day), ("a", 0, 12 * day), ("b", 1, 9 * day))
    worlds.land(store, worlds.payments(days=1, per_day=1), labels)
    assert known(store, EVENT + 7 * day - timedelta(microseconds=1)) == {}
    assert known(store, EVENT + 7 * day) == {"a": 0}
    assert known(store, EVENT + 9 * day) == {"a": 1, "b": 1}
    assert known(store, EVENT + 30 * day) == {"a": 0, "b": 1}


def test_labels_of_other_days_are_left_out(store: ObjectStore) -> None:
    worlds.land(store, worlds.payments(days=1, per_day=1), history(("a", 1, timedelta(days=1))))
    tomorrow = EVENT.date() + timedelta(days=1)
    assert labels_as_known(store, EVENT + timedelta(days=9), tomorrow, tomorrow).is_empty()


def test_a_terminal_is_compromised_on_the_day_of_any_known_fraud() -> None:
    transactions = pl.DataFrame(
        {
            "transaction_id": ["a", "b", "c", "d", "e"],
            "event_time": [EVENT, EVENT + timedelta(hours=1), EVENT, EVENT + timedelta(days=1), EVENT],
            "terminal_id": ["m1", "m1", "m2", "m1", "m3"],
        }
    )
    labels = pl.DataFrame({"transaction_id": ["a", "c", "d"], "label": [1, 0, 0]})
    labelled = terminal_compromised(transactions, labels)
    assert dict(labelled.select("transaction_id", "label").iter_rows()) == {"a": 1, "b": 1, "c": 0, "d": 0}


def test_days_landed_before_sources_were_named_read_as_one_source(store: ObjectStore) -> None:
    day = timedelta(days=1)
    unnamed = history(("a", 0, 7 * day), ("b", 1, 7 * day))
    named = history(("a", 1, 8 * day), ("a", 0, 9 * day), ("b", 0, 9 * day)).with_columns(
        source=pl.Series(["chargeback", "customer", "customer"])
    )
    for labels in (unnamed, named):
        worlds.land(store, worlds.payments(days=1, per_day=1), labels)
    assert known(store, EVENT + 7 * day) == {"a": 0, "b": 1}
    assert known(store, EVENT + 30 * day) == {"a": 1, "b": 0}
