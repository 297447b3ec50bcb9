"""Drift is found where it is, is not found where it is not, and is unknown where it cannot be told."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_platform.modeling.baseline import Baseline, Profile, population_stability_index, profile
from ml_platform.monitoring.drift import DriftPolicy, DriftReport, judge_drift
from tests.unit.monitoring.builders import FEATURES, NOW, PACKAGE, a_baseline, a_drift_report, a_signal, traffic

POLICY = DriftPolicy()
BASELINE = a_baseline()


def judged(captured: pd.DataFrame, baseline: Baseline = BASELINE, **policy: Any) -> DriftReport:
    return judge_drift(captured, baseline, DriftPolicy(**policy), model="card_fraud", package_arn=PACKAGE)


def a_profile(*counts: int, missing: int = 0) -> Profile:
    return Profile(edges=tuple(float(edge) for edge in range(len(counts) - 1)), counts=counts, missing=missing)


def test_psi_of_two_bins_by_hand() -> None:
    """Shares .5/.5 against .75/.25, with half a row added to every bin."""
    index, expected = population_stability_index(a_profile(50, 50), a_profile(75, 25))
    before, now = (50.5 / 101, 50.5 / 101), (75.5 / 101, 25.5 / 101)
    by_hand = sum((new - old) * math.log(new / old) for old, new in zip(before, now, strict=True))
    assert index == pytest.approx(by_hand)
    assert index == pytest.approx(0.2687, abs=1e-4)
    assert expected == pytest.approx((2 - 1) * (1 / 100 + 1 / 100))


def test_psi_of_equal_shares_is_zero() -> None:
    assert population_stability_index(a_profile(30, 70), a_profile(30, 70))[0] == 0


def test_missing_values_are_a_bin() -> None:
    index, expected = population_stability_index(a_profile(50, 50), a_profile(25, 25, missing=50))
    assert index > 1
    assert expected == pytest.approx(2 * (1 / 100 + 1 / 100))


def test_bins_empty_on_both_sides_are_no_degrees_of_freedom() -> None:
    sparse = population_stability_index(a_profile(0, 60, 0, 40, 0), a_profile(0, 40, 0, 60, 0))
    dense = population_stability_index(a_profile(60, 40), a_profile(40, 60))
    assert sparse == pytest.approx(dense)


def test_different_bins_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="different bins"):
        population_stability_index(a_profile(1, 2), a_profile(1, 2, 3))


@pytest.mark.parametrize(("n", "m"), [(1_000, 1_000), (1_000, 20_000), (5_000, 20_000)])
def test_without_a_shift_psi_is_on_average_what_sampling_gives(n: int, m: int) -> None:
    random = np.random.default_rng(0)
    excess = []
    for _ in range(200):
        edges = tuple(np.linspace(-1.3, 1.3, 9))
        index, expected = population_stability_index(
            profile(random.normal(size=m), edges), profile(random.normal(size=n), edges)
        )
        excess.append(index / expected)
    assert np.mean(excess) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("rows", [1_000, 10_000])
def test_no_alert_and_no_warning_on_fifty_samples_of_unmoved_traffic(rows: int) -> None:
    for seed in range(50):
        report = judged(traffic(rows, seed=seed))
        assert report.verdict.passed, (seed, report.failures)
        assert report.warnings == ()


def test_a_unit_bug_is_an_alert() -> None:
    captured = traffic(2_000)
    report = judged(captured.assign(amount=captured["amount"] * 100))
    assert report.alerts == ("amount",)
    assert report.failures[0].startswith("amount: PSI ")


@pytest.mark.parametrize("rows", [1_000, 5_000])
@pytest.mark.parametrize("seed", range(10))
def test_amounts_scaled_by_1_8_are_an_alert_and_nothing_else_is(seed: int, rows: int) -> None:
    captured = traffic(rows, seed=seed)
    assert judged(captured.assign(amount=captured["amount"] * 1.8)).alerts == ("amount",)


def test_what_sampling_gives_does_not_count() -> None:
    (amount,) = [signal for signal in judged(traffic(1_000)).signals if signal.name == "amount"]
    assert amount.expected_psi == pytest.approx(9 * (1 / 1_000 + 1 / 20_000))
    assert amount.corrected_psi == max(amount.psi - amount.expected_psi, 0.0)


@pytest.mark.parametrize("odd", [np.inf, -np.inf])
def test_infinite_values_are_in_the_outer_bins(odd: float) -> None:
    assert judged(traffic(2_000, amount=odd)).alerts == ("amount",)


def test_a_shift_of_half_a_deviation_is_a_warning_at_least() -> None:
    random = np.random.default_rng(5)
    report = judged(traffic(5_000, amount=random.lognormal(3.5, 1, 5_000)))
    assert [signal.name for signal in report.ranked[:1]] == ["amount"]
    assert report.ranked[0].level in {"warning", "alert"}


def test_a_warning_does_not_count_against() -> None:
    random = np.random.default_rng(5)
    report = judged(traffic(5_000, amount=random.lognormal(3.4, 1, 5_000)), alert_psi=5)
    assert report.warnings == ("amount",)
    assert report.verdict.passed


def test_scores_that_moved_are_an_alert() -> None:
    report = judged(traffic(2_000, score=np.random.default_rng(1).beta(1, 10, 2_000)))
    assert report.alerts == ("score",)


def test_values_that_went_missing_are_an_alert() -> None:
    captured = traffic(2_000)
    captured.loc[::2, "amount"] = np.nan
    report = judged(captured)
    assert report.alerts == ("amount",)
    assert report.ranked[0].missing_share == 0.5


def test_a_rate_that_is_nearly_always_zero_moves_when_it_no_longer_is() -> None:
    rate = np.random.default_rng(2).random(2_000)
    assert judged(traffic(2_000, terminal_fraud_rate_7d=rate)).alerts == ("terminal_fraud_rate_7d",)


def test_a_sunday_is_not_drift() -> None:
    report = judged(traffic(2_000, is_weekend=np.ones(2_000)))
    assert report.verdict.passed
    (weekend,) = [signal for signal in report.signals if signal.name == "is_weekend"]
    assert weekend.level == "exempt"
    assert weekend.psi > POLICY.alert_psi
    assert judged(traffic(2_000, is_weekend=np.ones(2_000)), calendar_features=()).alerts == ("is_weekend",)


def test_too_little_traffic_is_unknown_and_no_alert() -> None:
    report = judged(traffic(999, amount=np.zeros(999)))
    assert not report.judged
    assert (report.alerts, report.signals) == ((), ())
    assert report.failures == ("captured rows 999 < 1000: too early to tell",)


def test_no_traffic_at_all_is_unknown() -> None:
    report = judged(traffic(5).head(0))
    assert (report.rows, report.first_at, report.judged) == (0, None, False)


def test_a_signal_that_was_not_captured_counts_against_and_is_no_alert() -> None:
    report = judged(traffic(2_000).drop(columns="amount"))
    assert report.unknown == ("amount",)
    assert report.failures == ("amount: not captured, so its drift is unknown",)
    assert report.alerts == ()


def test_a_constant_feature_that_stays_constant_has_not_moved() -> None:
    report = judged(traffic(2_000, amount=7.0), a_baseline(amount=7.0))
    assert report.verdict.passed
    assert judged(traffic(2_000, amount=8.0), a_baseline(amount=7.0)).alerts == ("amount",)


def test_a_feature_never_seen_in_training_alerts_once_it_appears() -> None:
    baseline = a_baseline(amount=np.nan)
    assert judged(traffic(2_000, amount=np.nan), baseline).verdict.passed
    assert judged(traffic(2_000), baseline).alerts == ("amount",)


def test_a_report_covers_the_window_of_its_rows() -> None:
    report = judged(traffic(2_000))
    assert report.last_at == NOW
    assert report.first_at is not None
    assert (report.last_at - report.first_at).total_seconds() == 1_999


def test_a_report_survives_json_unchanged() -> None:
    report = judged(traffic(2_000, amount=0.0))
    assert DriftReport.model_validate_json(report.model_dump_json()) == report


def test_alerts_are_ordered_by_how_far_they_moved() -> None:
    report = a_drift_report(a_signal("a", 0.3), a_signal("b", 2.0), a_signal("c", 0.1))
    assert report.alerts == ("b", "a")


def test_table_and_chart_are_shown_inline_whatever_the_number_of_signals() -> None:
    report = a_drift_report(*(a_signal(f"terminal_fraud_rate_{number}d", number / 10) for number in range(100)))
    assert len(report.table()) < 1_000
    assert len(report.chart()) < 1_000
    assert report.table().splitlines()[2].startswith("| terminal_fraud_rate_99d | 9.900")
    assert "more" in report.table().splitlines()[-1]


def test_a_small_table_is_whole() -> None:
    lines = judged(traffic(2_000)).table().splitlines()
    assert len(lines) == 2 + len(FEATURES) + 1
