"""How fast labels arrive, although the slow ones have not arrived yet."""

import random
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from ml_platform.aws.objects import ObjectStore
from ml_platform.features.labels.arrival import (
    ALL,
    ArrivalCurve,
    censored_curve,
    estimate,
    measure_arrival,
    read_arrival,
    truncated_curve,
)
from tests.unit.features import worlds

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_payment_without_a_label_counts_for_as_long_as_it_was_watched() -> None:
    # Of four, one is known on day 1; one was watched for a day only; of the two that are left one is known on day 3.
    curve = censored_curve([1, None, 3, None], [9, 1, 9, 9])
    assert curve.share_known[:4] == pytest.approx((0, 0.25, 0.25, 0.625))
    assert (curve.labels, curve.days_until(0.5), curve.days_until(0.7)) == (2, 3, None)


def test_labels_that_cannot_have_arrived_yet_are_made_up_for() -> None:
    """Half of all labels take 1 day, half take 9; payments come evenly, so that the slow halves of young days miss."""
    ages = [age for age in range(20) for _ in range(2)]
    seen = [(delay, age) for age, delay in zip(ages, [1, 9] * 20, strict=True) if delay <= age]
    delays, limits = zip(*seen, strict=True)
    naive = sum(delay == 1 for delay in delays) / len(delays)
    assert naive > 0.6
    assert truncated_curve(delays, limits).at(1) == pytest.approx(0.5)


def test_the_estimate_comes_near_the_truth_where_counting_does_not() -> None:
    rng = random.Random(3)  # noqa: S311  # a world, not a secret
    truth = [min(int(rng.expovariate(1 / 8)), 29) for _ in range(20_000)]
    seen = [(delay, age) for delay in truth if delay <= (age := rng.randrange(40))]
    delays, limits = zip(*seen, strict=True)
    by_five = sum(delay <= 5 for delay in truth) / len(truth)
    assert truncated_curve(delays, limits).at(5) == pytest.approx(by_five, abs=0.02)
    assert abs(sum(delay <= 5 for delay in delays) / len(delays) - by_five) > 0.05


def test_a_curve_answers_for_every_age() -> None:
    curve = ArrivalCurve(labels=3, share_known=(0.0, 0.5, 0.9))
    assert [curve.at(age) for age in (-1, 0, 1, 2, 99)] == [0.0, 0.0, 0.5, 0.9, 0.9]
    assert ArrivalCurve(labels=0, share_known=()).at(3) == 0.0
    assert curve.chart("any").startswith("![any](data:image/svg+xml,")


def test_sources_have_curves_of_their_own_and_days_a_maturity(store: ObjectStore) -> None:
    payments = worlds.payments(days=20, per_day=10)
    worlds.land(store, payments, worlds.labels(payments))
    end = datetime.combine(worlds.FIRST_DAY + timedelta(days=20), datetime.min.time(), UTC)
    arrival = measure_arrival(store, end, days=60)
    assert read_arrival(store) == arrival
    assert set(arrival.curves) == {ALL, "says fraud", "says genuine"}
    # In this world every payment is presumed genuine after a week, and some frauds are reported before.
    assert 0 < arrival.curves[ALL].at(6) < arrival.curves[ALL].at(7) == 1
    assert [day.share for day in arrival.days][:12] == [1.0] * 12
    assert arrival.days[-1].share < 0.5
    assert arrival.matured_until() == worlds.FIRST_DAY + timedelta(days=12)
    assert arrival.verdict(after_days=8).passed
    assert not arrival.verdict(after_days=2).passed
    assert "too early" in arrival.verdict(after_days=99).failures[0]


def test_without_payments_nothing_is_claimed(store: ObjectStore) -> None:
    assert read_arrival(store) is None
    arrival = measure_arrival(store, AS_OF, days=7)
    assert (arrival.curves, arrival.days, arrival.matured_until()) == ({}, (), None)


def test_a_source_column_names_the_curves() -> None:
    event = datetime(2026, 2, 1, tzinfo=UTC)
    payments = pl.DataFrame({"transaction_id": ["a", "b"], "event_time": [event, event]})
    labels = pl.DataFrame(
        {
            "transaction_id": ["a", "a"],
            "label": [0, 1],
            "event_time": [event, event],
            "known_time": [event + timedelta(days=1), event + timedelta(days=12)],
            "source": ["analyst", "chargeback"],
        }
    )
    arrival = estimate(payments, labels, AS_OF)
    assert {name: curve.days_until(1.0) for name, curve in arrival.curves.items()} == {
        ALL: None,
        "analyst": 1,
        "chargeback": 12,
    }
    assert arrival.days[0].day == date(2026, 2, 1)
    assert arrival.days[0].share == 0.5
