"""Histories: what is added twice counts once, order does not matter, and very many events stay countable."""

import random

import pytest

from ml_platform.core.errors import FeatureError
from ml_platform.features.online.finishing import finish, windows_of
from ml_platform.features.online.history import History, identity_of
from ml_platform.features.windows.payments import card_activity

SECOND = 10**6
DAY = 86_400 * SECOND


def filled(events: list[tuple[int, int, int]]) -> History:
    history = History()
    for event in events:
        history.add(*event)
    return history


def test_events_in_any_order_and_twice_give_the_same_bytes() -> None:
    rng = random.Random(3)  # noqa: S311  # a world, not a secret
    events = [(rng.randrange(40), rng.randrange(1, 10**9), rng.randrange(1000)) for _ in range(200)]
    twice = events + rng.sample(events, 50)
    rng.shuffle(twice)
    assert filled(twice).to_bytes() == filled(events).to_bytes()
    assert len(filled(twice).times) == 200


def test_a_corrected_amount_replaces_the_old_one() -> None:
    history = filled([(5, 1, 100), (5, 2, 100)])
    assert history.add(5, 1, 70)
    assert not history.add(5, 1, 70)
    assert list(history.units) == [70, 100]


def test_a_genuine_label_is_kept_only_after_a_fraud() -> None:
    history = filled([(5, 1, 100)])
    assert not history.learn(5, 1, 10, 0)
    assert history.learn(5, 1, 20, 1)
    assert not history.learn(5, 1, 20, 1)
    assert history.learn(5, 1, 30, 0)
    assert list(history.facts) == [41, 60]


def test_what_no_window_reaches_is_forgotten_with_its_labels() -> None:
    history = filled([(5, 1, 100), (6, 2, 100)])
    history.learn(5, 1, 9, 1)
    history.forget(5)
    assert (list(history.times), list(history.facts)) == ([6], [])


def test_settled_events_stay_counted_and_only_the_edge_of_a_window_may_be_off() -> None:
    rng = random.Random(5)  # noqa: S311  # a world, not a secret
    times = sorted(rng.randrange(30 * DAY) for _ in range(20_000))
    history = filled([(time, number + 1, 3) for number, time in enumerate(times)])
    exact = History.from_bytes(history.to_bytes())
    history.settle(4096)
    assert len(history.times) <= 4096
    assert sum(history.counts) + len(history.times) - len(history.counts) == 20_000
    windows = windows_of(card_activity)
    for at in (30 * DAY, 30 * DAY + 7 * 3601 * SECOND):
        served, wanted = (finish(kind, at, None, windows) for kind in (history, exact))
        off = [abs(a - b) for a, b in zip(served, wanted, strict=True)]
        # A grain of an hour holds about 28 of these events.
        assert max(off[::2]) < 80
        assert max(off[1::2]) < 1e-9
    # The newest half are as exact as ever: what is replayed after a crash is still known.
    newest = times[-1]
    assert not history.add(newest, 20_000, 3)
    assert not history.add(times[0], 1, 3)


def test_settling_again_keeps_every_event() -> None:
    history = History()
    for number in range(5000):
        history.add(number * 60 * SECOND, number + 1, 1)
        history.settle(256)
    assert sum(history.units) == 5000
    assert sum(history.counts) + len(history.times) - len(history.counts) == 5000
    assert len(history.times) <= 256
    assert History.from_bytes(history.to_bytes()).to_bytes() == history.to_bytes()


def test_other_bytes_are_no_history() -> None:
    with pytest.raises(FeatureError, match="holds no history"):
        History.from_bytes(b"something else")


def test_identities_do_not_depend_on_the_process() -> None:
    assert identity_of("t00001") == 0xFCE6_61D5_7786_8737
