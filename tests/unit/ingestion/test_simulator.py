"""The simulator: the book's facts hold, any day can be had alone, labels become known as promised."""

import time
from datetime import date, timedelta

import polars as pl
import pytest

from ml_platform.ingestion.simulated_world import build_world, compromised_terminals
from ml_platform.ingestion.simulator import PRESUMED, simulate_day, simulate_labels, simulate_transactions
from ml_platform.ingestion.simulator_parameters import SimulatorParameters

START = date(2026, 1, 5)
WORLD = SimulatorParameters()
SMALL = SimulatorParameters(customers=100, terminals=200, radius=15, seed=3)


def day(index: int) -> date:
    return START + timedelta(days=index)


@pytest.fixture(scope="module")
def sixty_days() -> pl.DataFrame:
    return pl.concat([simulate_day(WORLD, START, day(index)) for index in range(60)])


def test_about_one_transaction_in_a_hundred_is_fraud(sixty_days: pl.DataFrame) -> None:
    assert 0.006 < (sixty_days["scenario"] > 0).mean() < 0.0105
    assert set(sixty_days["scenario"].unique()) == {0, 1, 2, 3}


def test_the_share_of_fraud_does_not_depend_on_the_size_of_the_world() -> None:
    book = SimulatorParameters(customers=5_000, terminals=10_000)
    frauds = pl.concat([simulate_day(book, START, day(index)) for index in range(0, 30, 10)])["scenario"] > 0
    assert 0.006 < frauds.mean() < 0.0115


def test_volume_and_amounts_are_those_of_the_book(sixty_days: pl.DataFrame) -> None:
    per_customer = len(sixty_days) / 60 / WORLD.customers
    assert 1.8 < per_customer < 2.1  # the book: 9,586 transactions a day of 4,990 customers
    assert 50 < sixty_days["amount"].mean() < 57  # the book: 53.6
    assert sixty_days["amount"].min() >= 0
    assert (sixty_days["amount"].round(2) == sixty_days["amount"]).all()


def test_every_amount_above_the_threshold_is_fraud(sixty_days: pl.DataFrame) -> None:
    assert (sixty_days.filter(pl.col("amount") > 220)["scenario"] > 0).all()


def test_everything_at_a_compromised_terminal_is_fraud_for_28_days() -> None:
    index, terminal = next(
        (index, terminal)
        for index in range(1, 60)
        for terminal in set(compromised_terminals(WORLD, index)) - set(compromised_terminals(WORLD, index - 1))
    )
    assert terminal in compromised_terminals(WORLD, index + 27)
    visits = pl.concat([simulate_day(WORLD, START, day(index + later)) for later in range(28)])
    visits = visits.filter(pl.col("terminal_id") == f"T{terminal:05d}")
    assert not visits.is_empty()
    assert (visits["scenario"] > 0).all()


def test_a_customer_pays_only_at_terminals_in_reach(sixty_days: pl.DataFrame) -> None:
    world = build_world(WORLD)
    for customer in range(0, 1000, 100):
        used = sixty_days.filter(pl.col("customer_id") == f"C{customer:05d}")["terminal_id"].unique()
        first, count = world.first_reachable[customer], world.reachable_count[customer]
        assert set(used) <= {f"T{terminal:05d}" for terminal in world.reachable[first : first + count]}


def test_a_customer_without_a_terminal_in_reach_pays_nowhere() -> None:
    lonely = SimulatorParameters(customers=20, terminals=1, radius=0.001)
    assert simulate_transactions(lonely, START, START, day(3)).is_empty()


def test_a_day_alone_equals_the_same_day_of_a_range_to_the_byte() -> None:
    together = simulate_transactions(WORLD, START, START, day(20))
    build_world.cache_clear()
    alone = simulate_transactions(WORLD, START, day(13), day(13))
    same = together.filter(pl.col("event_time").dt.date() == day(13))
    assert alone.equals(same)
    assert alone.write_json() == same.write_json()


def test_ids_are_unique_carry_the_day_and_follow_time() -> None:
    rows = simulate_transactions(SMALL, START, START, day(5))
    assert rows["transaction_id"].is_unique().all()
    assert rows["transaction_id"][0] == "20260105-000000"
    assert rows["event_time"].is_sorted()
    assert rows["transaction_id"].is_sorted()


def test_another_seed_is_another_world() -> None:
    other = SMALL.model_copy(update={"seed": 4})
    assert not simulate_day(SMALL, START, START).equals(simulate_day(other, START, START))
    assert len(simulate_day(SMALL.model_copy(update={"seed": -1}), START, START))


def test_the_world_begins_at_its_start() -> None:
    assert simulate_transactions(SMALL, START, day(-5), day(-1)).is_empty()
    assert simulate_transactions(SMALL, START, day(-5), day(0)).equals(
        simulate_transactions(SMALL, START, day(0), day(0))
    )


def test_from_the_shift_on_prices_are_higher_and_nothing_else_changes() -> None:
    shifted = SMALL.model_copy(update={"shift_day": 3})
    before, after = (simulate_day(shifted, START, day(index)) for index in (2, 3))
    assert before.equals(simulate_day(SMALL, START, day(2)))
    unshifted = simulate_day(SMALL, START, day(3))
    assert after.drop("amount").equals(unshifted.drop("amount"))
    ratio = (after["amount"].sum() / unshifted["amount"].sum()) if len(after) else 0
    assert ratio == pytest.approx(1.8, rel=1e-3)


def test_what_nobody_disputed_is_presumed_genuine_after_seven_days() -> None:
    labels = simulate_labels(SMALL, START, START, day(40))
    presumed = labels.filter(pl.col("label") == 0)
    assert (presumed["known_time"] - presumed["event_time"] == timedelta(days=7)).all()


def test_the_newest_label_of_every_transaction_is_the_truth() -> None:
    truth = pl.concat([simulate_day(WORLD, START, day(index)) for index in range(20)])
    labels = simulate_labels(WORLD, START, START, day(19 + 31))
    newest = labels.sort("known_time").unique("transaction_id", keep="last")
    joined = truth.join(newest, on="transaction_id")
    assert len(joined) == len(truth)
    assert ((joined["scenario"] > 0) == (joined["label"] == 1)).all()


def test_a_fraud_reported_late_corrects_an_earlier_presumption_and_an_early_one_never_had_it() -> None:
    labels = simulate_labels(WORLD, START, START, day(60))
    frauds = labels.filter(pl.col("label") == 1).with_columns(
        late=pl.col("known_time") - pl.col("event_time") > timedelta(days=7)
    )
    corrected = frauds["transaction_id"].is_in(labels.filter(pl.col("label") == 0)["transaction_id"].implode())
    assert (corrected == frauds["late"]).all()
    assert 0.25 < frauds["late"].mean() < 0.5


def test_reports_take_about_a_week_and_never_more_than_a_month() -> None:
    delays = simulate_day(WORLD, START, START)["report_delay"].dt.total_seconds() / 86_400
    assert delays.mean() == pytest.approx(6.5, abs=0.3)
    assert delays.min() >= 0.5
    assert delays.max() <= 30


def test_every_label_names_its_source_and_chargebacks_come_last() -> None:
    labels = simulate_labels(WORLD, START, START, day(60)).with_columns(
        waited=pl.col("known_time") - pl.col("event_time")
    )
    assert set(labels.filter(pl.col("label") == 0)["source"]) == {PRESUMED}
    frauds = (
        labels.filter(pl.col("label") == 1).group_by("source").agg(pl.len(), pl.col("waited").mean()).sort("waited")
    )
    assert frauds["source"].to_list() == ["customer", "analyst", "chargeback"]
    assert frauds["len"].min() > 0.15 * frauds["len"].sum()


def test_labels_of_single_days_add_up_to_those_of_the_range() -> None:
    together = simulate_labels(SMALL, START, START, day(12))
    single = pl.concat([simulate_labels(SMALL, START, day(index), day(index)) for index in range(13)])
    assert single.equals(together)


def test_a_hundred_days_of_a_thousand_customers_take_under_three_seconds() -> None:
    started = time.process_time()
    rows = simulate_transactions(SimulatorParameters(seed=11), START, START, day(99))
    assert len(rows) > 150_000
    assert time.process_time() - started < 3
