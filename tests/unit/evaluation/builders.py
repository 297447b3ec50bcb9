"""Reports and rows that are valid unless told otherwise."""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd

from ml_platform.core.verdict import Verdict
from ml_platform.evaluation.comparison import Comparison, Difference, SliceDifference
from ml_platform.evaluation.gate import GatePolicy, decide
from ml_platform.evaluation.leakage import LeakageReport
from ml_platform.evaluation.report import EvaluationReport
from ml_platform.modeling.serving_cost import ServingCost

CANDIDATE = "c" * 64
WINDOW = (date(2018, 8, 8), date(2018, 8, 14))


def a_report(**overrides: Any) -> EvaluationReport:
    """A challenger that passes the default policy."""
    values: dict[str, Any] = {
        "model": "card_fraud",
        "role": "challenger",
        "fingerprint": CANDIDATE,
        "training_set_fingerprint": "t" * 64,
        "window": WINDOW,
        "rows": 58_264,
        "positives": 385,
        "average_precision": 0.67,
        "roc_auc": 0.87,
        "card_precision_at_100": 0.29,
        "calibration_error": 0.004,
        "brier": 0.003,
        "created_at": datetime(2018, 8, 22, tzinfo=UTC),
    }
    return EvaluationReport(**(values | overrides))


def a_champion(**overrides: Any) -> EvaluationReport:
    """The live model, on the challenger's rows."""
    return a_report(**({"role": "champion", "fingerprint": "a" * 64} | overrides))


def a_difference(metric: str, **overrides: Any) -> Difference:
    """An established gain."""
    values = {"challenger": 0.67, "champion": 0.66, "low": 0.005, "high": 0.015, "worse_p": 0.99}
    values |= {"no_better_p": 0.01}
    return Difference(metric=metric, **(values | overrides))


def a_slice(name: str, **overrides: Any) -> SliceDifference:
    """A slice with enough positives on which nothing can be told from chance."""
    values: dict[str, Any] = {"challenger": 0.67, "champion": 0.66, "low": -0.09, "high": -0.01, "worse_p": 0.5}
    values |= {"metric": "recall_at_fpr", "slice": name, "rows": 9_000, "positives": 40}
    return SliceDifference(**(values | overrides))


def a_comparison(*, slices: tuple[SliceDifference, ...] = (), **metrics: Difference) -> Comparison:
    """A challenger that is better in everything."""
    names = ("average_precision", "roc_auc", "card_precision_at_100")
    found = {name: a_difference(name) for name in names} | metrics
    return Comparison(draws=500, seed=0, metrics=tuple(found.values()), slices=slices)


def no_leakage() -> LeakageReport:
    """Probes that found nothing."""
    return LeakageReport(chance=0.007, model=0.67, shuffled=0.008, shifted=0.007, features={"amount": 0.14})


def a_serving_cost(**overrides: Any) -> ServingCost:
    """A quick, small candidate."""
    values: dict[str, Any] = {
        "artifact_fingerprint": CANDIDATE,
        "requests": 400,
        "p50_latency_ms": 0.5,
        "p95_latency_ms": 3.0,
        "p99_latency_ms": 8.0,
        "ready_seconds": 0.1,
        "artifact_bytes": 75_565,
    }
    return ServingCost(**(values | overrides))


def all_labelled() -> dict[date, float]:
    """A holdout of two days whose labels have matured."""
    return {WINDOW[0]: 1.0, WINDOW[1]: 0.9}


def judged(
    challenger: EvaluationReport,
    champion: EvaluationReport | None = None,
    policy: GatePolicy | None = None,
    comparison: Comparison | None = None,
) -> Verdict:
    """The gate's verdict on the candidate of these tests, which leaks nothing and is quick."""
    chosen = policy or GatePolicy()
    return decide(challenger, champion, chosen, CANDIDATE, comparison, no_leakage(), a_serving_cost(), all_labelled())


def a_holdout(rows: int = 2_000, *, positives: float = 0.05, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """A week of labelled transactions, and scores that rank them well but not perfectly."""
    random = np.random.default_rng(seed)
    labels = (random.random(rows) < positives).astype(int)
    scores = np.clip(random.beta(1, 20, rows) + labels * random.random(rows) * 0.6, 0, 1)
    times = pd.Timestamp("2018-08-08", tz="UTC") + pd.to_timedelta(np.sort(random.uniform(0, 7, rows)), unit="D")
    cards = random.integers(0, 400, rows).astype(str)
    return pd.DataFrame({"event_time": times, "customer_id": cards, "label": labels}), scores
