"""Which training sets a day may have had a part in, and which deployment answered when."""

from datetime import UTC, date, datetime, timedelta

import pytest

from feature_repo import feature_views
from ml_platform.features.offline.training_set_spec import SplitManifest, TrainingSetManifest, TrainingSetSpec
from ml_platform.registry.lineage import DeploymentRecord
from ml_platform.resources.day_impact import CARRIED, touched_training_set
from ml_platform.resources.decision_lineage import deployment_at
from ml_platform.resources.payments_reach import touched_by_payment_day

TRANSACTIONS, LABELS = "payments/transactions", "payments/fraud_labels"
CARD, TERMINAL = "payments/card_activity", "payments/terminal_risk"
DAY = timedelta(days=1)


def a_training_set(features: tuple[str, ...], lookup: str = "daily") -> TrainingSetManifest:
    """Of 2026-03-01 to 2026-04-25, with labels known by 2026-05-03."""
    spec = TrainingSetSpec.model_validate(
        {"model": "m", "features": features, "feature_lookup": lookup, "as_of": datetime(2026, 5, 3, tzinfo=UTC)}
    )
    splits = {
        name: SplitManifest(uri="", first_day=days[0], last_day=days[1], rows=1, positives=0, unlabelled=0)
        for name, days in spec.days().items()
    }
    return TrainingSetManifest(
        model="m",
        fingerprint="f",
        uri="",
        features=features,
        as_of=spec.as_of,
        splits=splits,
        spec=spec,
        fingerprints={},
    )


AMOUNT = a_training_set(("amount",))
CARDS = a_training_set(("amount", "card_tx_count_30d"))
FIRST, LAST = CARDS.splits["train"].first_day, CARDS.splits["holdout"].last_day


def test_a_payment_day_of_the_window_is_in_whatever_the_features_are() -> None:
    for day in (FIRST, LAST):
        found = touched_training_set(AMOUNT, TRANSACTIONS, day, {})
        assert found is not None
        assert (found.through, found.window, found.only_carried) == ((TRANSACTIONS,), (FIRST, LAST), False)
    assert touched_training_set(AMOUNT, TRANSACTIONS, FIRST - DAY, {CARD: [FIRST - DAY]}) is None
    assert touched_training_set(AMOUNT, TRANSACTIONS, LAST + DAY, {}) is None


@pytest.mark.parametrize(("lookup", "reaches"), [("daily", FIRST - DAY), ("event", FIRST)])
def test_features_are_looked_up_the_midnight_before_or_at_the_event(lookup: str, reaches: date) -> None:
    features = a_training_set(("card_tx_count_30d",), lookup)
    day = FIRST - timedelta(days=60)
    touched = touched_training_set(features, TRANSACTIONS, day, {CARD: [reaches]})
    assert touched is not None
    assert (touched.through, touched.only_carried) == ((CARD,), False)
    carried = touched_training_set(features, TRANSACTIONS, day, {CARD: [reaches - DAY]})
    assert carried is not None
    assert carried.only_carried


def test_a_table_the_model_does_not_use_touches_nothing() -> None:
    assert touched_training_set(CARDS, TRANSACTIONS, FIRST - 2 * DAY, {TERMINAL: [FIRST]}) is None


def test_a_row_is_carried_no_longer_than_views_serve_it() -> None:
    def carried(day: date) -> bool:
        found = touched_training_set(CARDS, TRANSACTIONS, FIRST - timedelta(days=200), {CARD: [day]})
        return found is not None and found.only_carried

    assert carried(FIRST - CARRIED - DAY)
    assert not carried(FIRST - CARRIED - 2 * DAY)
    assert not carried(LAST)


def test_carrying_covers_the_longest_time_to_live() -> None:
    lives = [view.ttl for view in vars(feature_views).values() if hasattr(view, "ttl") and view.ttl]
    assert max(lives) <= CARRIED


def test_labels_count_from_the_day_they_were_known_to_the_cut_off() -> None:
    cut_off = CARDS.as_of.date()
    assert touched_training_set(CARDS, LABELS, cut_off - DAY, {}) is not None
    assert touched_training_set(CARDS, LABELS, cut_off, {}) is None


def test_the_windows_own_reach_is_what_is_followed() -> None:
    day = FIRST - timedelta(days=29)
    features = {CARD: touched_by_payment_day(day)[CARD]}
    found = touched_training_set(CARDS, TRANSACTIONS, day, features)
    assert found is not None
    assert found.through == (CARD,)


def a_deployment(version: int, hour: int) -> DeploymentRecord:
    since = datetime(2026, 2, 1, hour, microsecond=500_000, tzinfo=UTC)
    facts = {"model": "m", "endpoint": "m", "config": f"m-v{version}", "package_arn": f"arn/{version}"}
    return DeploymentRecord(**facts, version=version, since=since)


PAST = [a_deployment(1, 8), a_deployment(2, 12), a_deployment(1, 16)]


@pytest.mark.parametrize(
    ("hour", "package", "since"),
    [
        (7, None, None),
        (8, None, 8),
        (13, None, 12),
        (23, None, 16),
        (11, "arn/2", 12),
        (13, "arn/1", 8),
        (20, "arn/2", 12),
        (20, "arn/9", None),
    ],
    ids=["before", "same second", "middle", "newest", "canary", "still draining", "long gone", "never"],
)
def test_an_answer_belongs_to_the_deployment_of_its_package_and_time(
    hour: int, package: str | None, since: int | None
) -> None:
    found = deployment_at(PAST, datetime(2026, 2, 1, hour, tzinfo=UTC), package)
    assert (found.since.hour if found else None) == since
