"""Several sources speak about one payment: whose word holds, at every instant."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_platform.aws.objects import ObjectStore
from ml_platform.features.labels.conflicts import LabelPolicy, settle
from ml_platform.features.labels.known import known_fraud_intervals, labels_as_known
from tests.unit.features import worlds

EVENT = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
POLICY = LabelPolicy()
Said = tuple[str, str, int, int]
"""Payment, source, label, and hours until it was known."""


def said(*labels: Said) -> pl.DataFrame:
    instant = pl.Datetime("us", "UTC")
    return pl.DataFrame(
        [(payment, source, label, EVENT, EVENT + hours * HOUR) for payment, source, label, hours in labels],
        schema={
            "transaction_id": pl.String,
            "source": pl.String,
            "label": pl.Int8,
            "event_time": instant,
            "known_time": instant,
        },
        orient="row",
    )


def held(settled: pl.DataFrame, hours: int) -> dict[str, int]:
    known = settled.filter(pl.col("known_time") <= EVENT + hours * HOUR).sort("known_time", "label")
    return dict(known.unique("transaction_id", keep="last").select("transaction_id", "label").iter_rows())


def test_a_better_source_overrides_and_a_worse_one_does_not() -> None:
    settled = settle(said(("a", "customer", 1, 1), ("a", "analyst", 0, 2), ("a", "customer", 1, 3)), POLICY)
    assert [held(settled, hours) for hours in (0, 1, 2, 3)] == [{}, {"a": 1}, {"a": 0}, {"a": 0}]


def test_a_source_may_correct_itself() -> None:
    settled = settle(said(("a", "chargeback", 1, 1), ("a", "analyst", 1, 2), ("a", "chargeback", 0, 3)), POLICY)
    assert [held(settled, hours)["a"] for hours in (1, 2, 3)] == [1, 1, 0]


def test_whoever_spoke_last_may_be_the_rule() -> None:
    labels = said(("a", "chargeback", 1, 1), ("a", "customer", 0, 2))
    assert held(settle(labels, LabelPolicy(rule="newest")), 2) == {"a": 0}
    assert held(settle(labels, LabelPolicy(priority=("customer", "chargeback"))), 2) == {"a": 0}
    assert held(settle(labels, POLICY), 2) == {"a": 1}


def test_a_source_that_nobody_ranked_comes_last() -> None:
    assert held(settle(said(("a", "customer", 0, 1), ("a", "rumour", 1, 2)), POLICY), 9) == {"a": 0}
    assert held(settle(said(("a", "rumour", 1, 1), ("a", "hearsay", 0, 2)), POLICY), 9) == {"a": 0}


SAID = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["chargeback", "analyst", "customer", "rumour"]),
        st.integers(0, 1),
        st.integers(0, 8),
    ),
    max_size=14,
)


def weighed(labels: list[Said], hours: int) -> dict[str, int]:
    """The independent reference: of the best source that has spoken the newest word; in one instant the fraud."""
    ranks = {source: place for place, source in enumerate(POLICY.priority)}
    answer = {}
    for payment in {said[0] for said in labels if said[3] <= hours}:
        words = [
            (-ranks.get(source, 3), at, label) for of, source, label, at in labels if of == payment and at <= hours
        ]
        answer[payment] = max(words)[2]
    return answer


@settings(deadline=None, max_examples=200)
@given(labels=SAID, late=SAID, hours=st.integers(0, 8))
def test_what_is_held_is_what_was_known_and_later_words_change_nothing(
    labels: list[Said], late: list[Said], hours: int
) -> None:
    after = [(payment, source, label, hours + 1 + at) for payment, source, label, at in late]
    assert held(settle(said(*labels, *after), POLICY), hours) == weighed(labels, hours)


def test_training_labels_and_fraud_intervals_follow_the_policy(store: ObjectStore) -> None:
    labels = said(("a", "customer", 1, 1), ("a", "analyst", 0, 30), ("b", "chargeback", 1, 2), ("b", "customer", 0, 40))
    worlds.land(store, worlds.payments(days=1, per_day=1), labels)
    day = EVENT.date()

    def known(hours: int) -> dict[str, int]:
        frame = labels_as_known(store, EVENT + hours * HOUR, day, day)
        return dict(frame.sort("transaction_id").select("transaction_id", "label").iter_rows())

    assert (known(29), known(99)) == ({"a": 1, "b": 1}, {"a": 0, "b": 1})
    intervals = known_fraud_intervals(settle(labels, POLICY)).sort("transaction_id", "known_from")
    ends = [EVENT + 30 * HOUR, EVENT + 40 * HOUR, None]  # b goes on as a fraud after the customer's word
    assert intervals["known_until"].to_list() == ends


@pytest.mark.parametrize("rule", ["priority", "newest"])
def test_labels_of_one_source_are_left_as_they_are(rule: str) -> None:
    labels = said(("a", "x", 1, 1), ("a", "x", 0, 2)).drop("source")
    assert settle(labels, LabelPolicy.model_validate({"rule": rule})).equals(labels)
