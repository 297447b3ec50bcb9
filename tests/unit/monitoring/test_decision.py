"""One row per rule of the operating decision, one signal flipped each."""

from typing import Any

import numpy as np
import pytest

from ml_platform.monitoring.decision import (
    CaptureQuality,
    OperatingDecision,
    OperatingPolicy,
    decide_operation,
    measure_quality,
)
from ml_platform.monitoring.drift import DriftReport
from ml_platform.monitoring.performance import PerformanceReport
from ml_platform.monitoring.skew import Cause, SkewReport
from tests.unit.monitoring.builders import (
    NOW,
    PACKAGE,
    a_baseline,
    a_drift_report,
    a_performance_report,
    a_signal,
    a_skew_report,
    good_quality,
    too_early,
    traffic,
)

POLICY = OperatingPolicy()
FELL = a_performance_report(ranking_fell=True, failures=("average precision 0.40 against 0.66",))
MISCALIBRATED = a_performance_report(miscalibrated=True, failures=("calibration error 0.09 > 0.05",))
DRIFTED = a_drift_report(a_signal("amount", 0.9))
UNJUDGED_DRIFT = a_drift_report(judged=False, signals=(), failures=("captured rows 10 < 1000: too early to tell",))


def decided(
    drift: DriftReport | None = None,
    performance: PerformanceReport | None = None,
    quality: CaptureQuality | None = None,
    skew: SkewReport | None = None,
    **arguments: Any,
) -> OperatingDecision:
    return decide_operation(
        drift or a_drift_report(),
        performance or a_performance_report(),
        quality or good_quality(),
        POLICY,
        decided_at=NOW,
        skew=skew or a_skew_report(),
        **arguments,
    )


def test_when_all_is_well_nothing_is_called_for() -> None:
    decision = decided()
    assert decision.action == "nothing"
    assert decision.reasons == ("performance holds on matured labels", "no signal has drifted")


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        ({"rejected": 51}, "51 of 5051 captured requests cannot be read"),
        ({"rows": 0, "rejected": 100}, "100 of 100 captured requests cannot be read"),
        ({"invalid_scores": 1}, "1 of 5000 scores are not a number in [0, 1]"),
        ({"missing_jumps": {"amount": 0.051}}, "amount: missing values rose by 5.1%"),
    ],
)
def test_broken_data_is_fixed_before_anything_else(quality: dict[str, Any], reason: str) -> None:
    for performance in (a_performance_report(), FELL, MISCALIBRATED, too_early()):
        decision = decided(DRIFTED, performance, good_quality(**quality))
        assert decision.action == "fix_data"
        assert decision.reasons[0] == reason


@pytest.mark.parametrize(
    "quality",
    [
        {"rejected": 50},
        {"missing_jumps": {"amount": 0.05}},
        {"rows": 0, "rejected": 99},
        {"rows": 99, "missing_jumps": {"amount": 0.9}},
    ],
)
def test_data_just_good_enough_is_no_reason(quality: dict[str, Any]) -> None:
    assert decided(quality=good_quality(**quality)).action == "nothing"


@pytest.mark.parametrize("cause", ["late_data", "time_to_live", "missed_materialization", "code"])
def test_features_served_wrong_are_fixed_before_a_model_is_blamed(cause: Cause) -> None:
    skewed = a_skew_report(skewed=51, causes={cause: 51})
    for performance in (a_performance_report(), FELL, MISCALIBRATED, too_early()):
        decision = decided(DRIFTED, performance, skew=skewed, held_before=False)
        assert decision.action == "fix_data"
        assert "51 of 5000 requests were served other features" in decision.reasons[0]
        assert decision.reasons[1].startswith(f"{cause}: 51 values of amount")
        assert decision.evidence["skew_rate"] == pytest.approx(0.0102)


def test_skew_within_the_limit_is_no_reason() -> None:
    decision = decided(skew=a_skew_report(skewed=50, causes={"code": 50}))
    assert (decision.action, decision.evidence["skew_rate"]) == ("nothing", 0.01)


def test_skew_that_is_unknown_or_of_another_package_is_listed_and_decides_nothing() -> None:
    early = a_skew_report(captured=50_000, skewed=5_000, causes={"code": 5_000})
    assert decided(skew=early).action == "nothing"
    assert "too early to tell" in decided(skew=early).reasons[2]
    stale = decided(performance=FELL, skew=a_skew_report(package_arn=OTHER, skewed=5_000, causes={"code": 5_000}))
    assert stale.action == "retrain"
    assert "the skew report is about" in stale.reasons[-1]
    nobody = decide_operation(a_drift_report(), a_performance_report(), good_quality(), POLICY, decided_at=NOW)
    assert "skew unknown: nobody compared what was served with the offline store" in nobody.reasons


def test_a_loss_on_matured_labels_is_retrained() -> None:
    decision = decided(performance=FELL)
    assert decision.action == "retrain"
    assert decision.reasons == FELL.failures


def test_a_model_that_never_held_is_rolled_back_to_one_that_did() -> None:
    decision = decided(performance=FELL, held_before=False)
    assert decision.action == "roll_back"
    assert decision.reasons[0] == FELL.failures[0]
    assert "never held, an earlier one's did" in decision.reasons[1]


@pytest.mark.parametrize(
    "record",
    [
        {"held_before": True, "another_held": True},
        {"held_before": True, "another_held": False},
        {"held_before": False, "another_held": False},
    ],
)
def test_without_an_earlier_model_known_to_be_better_a_loss_is_retrained(record: dict[str, bool]) -> None:
    assert decided(performance=FELL, **record).action == "retrain"


OTHER = PACKAGE.replace("/1", "/2")
STALE = "report is about model-package/card-fraud/1, but model-package/card-fraud/2 is live: make it anew"


@pytest.mark.parametrize("performance", [FELL, MISCALIBRATED, a_performance_report()])
def test_reports_about_a_package_that_is_no_longer_live_call_for_nothing(performance: PerformanceReport) -> None:
    decision = decided(DRIFTED, performance, live_package_arn=OTHER, held_before=False)
    assert decision.action == "nothing"
    assert decision.reasons == (f"the drift {STALE}", f"the performance {STALE}", f"the skew {STALE}")
    assert decision.evidence == {"matured_share": 0, "rejected_requests": 0}


def test_drift_of_the_live_package_counts_beside_a_stale_performance_report() -> None:
    decision = decided(a_drift_report(a_signal(psi=0.9), package_arn=OTHER), FELL, live_package_arn=OTHER)
    assert decision.action == "retrain"
    assert "proposed on drift alone" in decision.reasons[1]
    assert f"the performance {STALE}" in decision.reasons


def test_broken_data_is_fixed_even_when_the_reports_are_stale() -> None:
    assert decided(quality=good_quality(invalid_scores=1), live_package_arn=OTHER).action == "fix_data"


def test_a_model_that_holds_is_not_rolled_back() -> None:
    assert decided(held_before=False).action == "nothing"


def test_calibration_alone_calls_for_another_threshold() -> None:
    for drift in (a_drift_report(), a_drift_report(a_signal("score", 0.4))):
        decision = decided(drift, MISCALIBRATED)
        assert decision.action == "rethreshold"
        assert MISCALIBRATED.failures[0] in decision.reasons


def test_a_loss_outweighs_calibration() -> None:
    both = FELL.model_copy(update={"miscalibrated": True})
    assert decided(performance=both).action == "retrain"


def test_drift_without_labels_proposes_retraining() -> None:
    decision = decided(DRIFTED, too_early())
    assert decision.action == "retrain"
    assert decision.reasons == (
        "amount: PSI 0.900 > 0.25",
        "proposed on drift alone, labels cannot tell yet: the gate decides",
        "matured rows 0: too early to tell",
    )


def test_drift_while_matured_performance_holds_is_no_reason() -> None:
    decision = decided(DRIFTED)
    assert decision.action == "nothing"
    assert decision.reasons == ("inputs moved, but performance holds on matured labels", "amount: PSI 0.900 > 0.25")


def test_a_loss_that_may_be_chance_calls_for_nothing_and_does_not_outvote_drift() -> None:
    unsure = a_performance_report(ranking_unsure=True, failures=("a loss of 0.06", "the loss may be chance"))
    assert decided(performance=unsure).action == "nothing"
    assert "the loss may be chance" in decided(performance=unsure).reasons
    assert decided(DRIFTED, unsure).action == "retrain"


def test_labels_of_a_small_part_of_the_traffic_do_not_outvote_drift() -> None:
    assert decided(DRIFTED, a_performance_report(served=20_000)).action == "retrain"


def test_a_performance_that_cannot_be_read_does_not_outvote_drift() -> None:
    unreadable = a_performance_report(failures=("loss of average precision unavailable: the gate's figure is unknown",))
    assert decided(DRIFTED, unreadable).action == "retrain"


@pytest.mark.parametrize(
    ("drift", "performance"),
    [(UNJUDGED_DRIFT, too_early()), (UNJUDGED_DRIFT, a_performance_report()), (a_drift_report(), too_early())],
)
def test_what_is_unknown_is_listed_and_is_no_all_clear(drift: DriftReport, performance: PerformanceReport) -> None:
    decision = decided(drift, performance)
    assert decision.action == "nothing"
    for failure in (*drift.failures, *performance.failures):
        assert failure in decision.reasons


def test_a_warning_is_no_reason() -> None:
    assert decided(a_drift_report(a_signal("amount", 0.2, level="warning")), too_early()).action == "nothing"


def test_quality_nobody_looked_at_is_said() -> None:
    decision = decide_operation(a_drift_report(), a_performance_report(), None, POLICY, decided_at=NOW)
    assert "quality of the captured data unknown: nobody looked" in decision.reasons


def test_no_reason_is_said_twice() -> None:
    for decision in (decided(DRIFTED, FELL), decided(DRIFTED, too_early()), decided(DRIFTED, MISCALIBRATED)):
        assert len(set(decision.reasons)) == len(decision.reasons)


def test_the_figures_weighed_are_kept_and_unknown_ones_are_absent() -> None:
    known = decided(DRIFTED).evidence
    assert known["highest_psi"] == 0.9
    assert known["average_precision_loss"] == pytest.approx(0.01)
    unknown = decided(UNJUDGED_DRIFT, too_early()).evidence
    assert unknown == {"matured_share": 0, "rejected_requests": 0, "skew_rate": 0}


def test_a_decision_survives_json_unchanged() -> None:
    decision = decided(DRIFTED, FELL)
    assert OperatingDecision.model_validate_json(decision.model_dump_json()) == decision


def test_quality_of_sound_traffic_is_good() -> None:
    quality = measure_quality(traffic(2_000), 0, a_baseline())
    assert (quality.rows, quality.invalid_scores, quality.missing_jumps) == (2_000, 0, {})


def test_quality_sees_missing_values_beyond_the_baseline() -> None:
    usual = a_baseline(amount=np.where(np.arange(20_000) % 5 == 0, np.nan, 1.0))
    captured = traffic(1_000, amount=np.where(np.arange(1_000) % 2 == 0, np.nan, 1.0))
    assert measure_quality(captured, 0, usual).missing_jumps == {"amount": pytest.approx(0.3)}
    assert measure_quality(captured.drop(columns="is_weekend"), 0, usual).missing_jumps["is_weekend"] == 1


def test_quality_sees_scores_that_are_no_probabilities() -> None:
    captured = traffic(1_000)
    captured.loc[:2, "score"] = [np.nan, -0.1, 1.1]
    assert measure_quality(captured, 0, a_baseline()).invalid_scores == 3


def test_quality_of_no_traffic_says_nothing_against_it() -> None:
    quality = measure_quality(traffic(1).head(0), 0, a_baseline())
    assert (quality.rows, quality.missing_jumps) == (0, {})


def test_traffic_without_any_score_has_only_invalid_ones() -> None:
    assert measure_quality(traffic(1_000).drop(columns="score"), 0, a_baseline()).invalid_scores == 1_000
