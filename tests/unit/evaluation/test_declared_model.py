"""A model without cards and amounts is evaluated and gated by what its YAML declares, and by nothing of payments."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
import yaml
from pydantic import ValidationError

from ml_platform.components.settings import ModelSettings
from ml_platform.core.verdict import Verdict
from ml_platform.evaluation.comparison import Comparison, compare
from ml_platform.evaluation.gate import decide
from ml_platform.evaluation.intervals import metric_intervals
from ml_platform.evaluation.plots import comparison_table
from ml_platform.evaluation.report import Asked, EvaluationReport, evaluate
from ml_platform.modeling.declared_metrics import FRAUD_METRICS
from tests.unit.evaluation.builders import CANDIDATE, a_serving_cost, all_labelled, no_leakage

CHURN = """
name: churn
owner: team:retention
purpose: Say which subscribers will leave.
features: [months, calls]
feature_service: churn_v1
metrics: [roc_auc, log_loss]
slices:
  - {name: contract, column: contract}
  - {name: months, column: months, edges: [12, 36]}
gate:
  min_positives: 100
  limits: {roc_auc: 0.7, log_loss: 0.6}
  headline: roc_auc
  required_gain: 0.005
  max_losses: {log_loss: 0.01}
"""


def declared(text: str) -> ModelSettings:
    return ModelSettings.model_validate(yaml.safe_load(text))


@pytest.fixture(scope="module")
def churn() -> ModelSettings:
    return declared(CHURN)


def subscribers(rows: int = 3_000) -> tuple[pd.DataFrame, np.ndarray]:
    """Who stayed and who left, and the true chance of leaving."""
    random = np.random.default_rng(0)
    months, calls = random.integers(1, 60, rows), random.poisson(2, rows)
    truth = 1 / (1 + np.exp(-(0.9 * calls - 0.07 * months - 0.5)))
    holdout = pd.DataFrame(
        {
            "event_time": pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(np.arange(rows) * 200, unit="s"),
            "months": months,
            "contract": np.where(random.random(rows) < 0.5, "monthly", "yearly"),
            "label": (random.random(rows) < truth).astype(int),
        }
    )
    return holdout, truth


def noisy(truth: np.ndarray, noise: float) -> np.ndarray:
    odds = np.log(truth / (1 - truth)) + np.random.default_rng(1).normal(0, noise, len(truth))
    scores: np.ndarray = 1 / (1 + np.exp(-odds))
    return scores


def reported(model: ModelSettings, holdout: pd.DataFrame, scores: np.ndarray, role: str) -> EvaluationReport:
    return evaluate(
        holdout,
        scores,
        model=model.name,
        role=role,  # type: ignore[arg-type]
        fingerprint=CANDIDATE if role == "challenger" else "a" * 64,
        training_set_fingerprint="t" * 64,
        created_at=datetime(2026, 3, 20, tzinfo=UTC),
        asked=Asked(slices=model.slices),
        metrics=model.metrics,
    )


def judged(model: ModelSettings, ours: np.ndarray, theirs: np.ndarray) -> tuple[Verdict, Comparison]:
    holdout, _ = subscribers()
    challenger, champion = (
        reported(model, holdout, scores, role) for scores, role in ((ours, "challenger"), (theirs, "champion"))
    )
    found = compare(holdout, ours, theirs, slices=model.slices, declared=model.metrics, draws=200)
    verdict = decide(challenger, champion, model.gate, CANDIDATE, found, no_leakage(), a_serving_cost(), all_labelled())
    return verdict, found


def test_its_report_has_the_declared_figures_and_slices_and_no_card_precision(churn: ModelSettings) -> None:
    holdout, truth = subscribers()
    report = reported(churn, holdout, truth, "challenger")
    assert list(report.figures) == ["roc_auc", "log_loss"]
    assert report.unavailable == {}
    assert {found.slice for found in report.slices.measured} == {
        "contract monthly",
        "contract yearly",
        "months below 12",
        "months 12 to 36",
        "months from 36",
    }
    assert "card" not in report.model_dump_json()


def test_a_better_challenger_is_promoted_by_its_own_metrics(churn: ModelSettings) -> None:
    _, truth = subscribers()
    verdict, found = judged(churn, truth, noisy(truth, 0.8))
    assert verdict.passed, verdict.failures
    assert {metric.metric for metric in found.metrics} >= {"roc_auc", "log_loss"}
    assert "card_precision_at_100" not in {metric.metric for metric in found.metrics}


def test_a_worse_one_is_stopped_with_reasons_about_its_own_metrics_alone(churn: ModelSettings) -> None:
    holdout, truth = subscribers()
    verdict, found = judged(churn, noisy(truth, 4), truth)
    assert any(reason.startswith("ROC AUC") and "a gain of 0.0050 is required" in reason for reason in verdict.failures)
    assert any(
        reason.startswith("log loss") and "a loss of 0.0100 is possible" in reason for reason in verdict.failures
    )
    assert any(" > 0.6000" in reason for reason in verdict.failures)
    assert not any("card" in reason or "average precision" in reason for reason in verdict.failures)
    table = comparison_table(*(reported(churn, holdout, truth, role) for role in ("challenger", "champion")), found)
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == ["| ROC AUC", "| log loss"]


def test_a_smaller_log_loss_is_a_gain(churn: ModelSettings) -> None:
    _, truth = subscribers()
    gained = judged(churn, truth, noisy(truth, 0.8))[1].metric("log_loss")
    assert gained is not None
    assert gained.low > 0
    assert gained.challenger < 0


def test_its_intervals_are_of_rows_drawn_alone(churn: ModelSettings) -> None:
    holdout, truth = subscribers()
    found = metric_intervals(holdout, truth, declared=churn.metrics)
    assert "card_precision_at_100" not in found
    loss = reported(churn, holdout, truth, "challenger").figure("log_loss")
    assert loss is not None
    assert found["log_loss"][0] < loss < found["log_loss"][1]


def test_a_gate_that_judges_by_what_is_not_declared_is_refused() -> None:
    without = CHURN.replace("metrics: [roc_auc, log_loss]", "metrics: [roc_auc]")
    with pytest.raises(ValidationError, match="the gate judges by log_loss, which `metrics` does not declare"):
        declared(without)


def test_what_card_fraud_is_judged_by_is_what_it_was() -> None:
    fraud = declared(CHURN.partition("metrics:")[0])
    assert tuple(fraud.metrics) == FRAUD_METRICS
    assert fraud.gate.metrics == ("average_precision", "roc_auc", "card_precision_at_100", "calibration_error")
