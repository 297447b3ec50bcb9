"""Baselines, captured rows and reports that are valid and quiet unless told otherwise."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from ml_platform.modeling.baseline import Baseline
from ml_platform.modeling.declared_metrics import ModelMetrics
from ml_platform.modeling.schema import Signature
from ml_platform.monitoring.decision import CaptureQuality
from ml_platform.monitoring.drift import DriftReport, SignalDrift
from ml_platform.monitoring.performance import PerformanceReport
from ml_platform.monitoring.skew import Cause, SkewPolicy, SkewReport, judge_skew

FEATURES = ("amount", "is_weekend", "terminal_fraud_rate_7d")
SIGNATURE = Signature(features=FEATURES)
NOW = datetime(2018, 9, 1, tzinfo=UTC)
PACKAGE = "arn:aws:sagemaker:us-east-1:000000000000:model-package/card-fraud/1"


def traffic(rows: int, seed: int = 0, **columns: Any) -> pd.DataFrame:
    """Captured rows: a skewed amount, a flag, a rate that is nearly always zero, and a score."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "inference_time": NOW - pd.to_timedelta(np.arange(rows), unit="s"),
            "amount": random.lognormal(3, 1, rows),
            "is_weekend": (random.random(rows) < 2 / 7).astype(float),
            "terminal_fraud_rate_7d": np.where(random.random(rows) < 0.97, 0.0, random.random(rows)),
            "score": random.beta(1, 60, rows),
        }
    )
    return frame.assign(**columns)


def a_baseline(rows: int = 20_000, **columns: Any) -> Baseline:
    frame = traffic(rows, seed=10_000, **columns)
    return Baseline.measure(SIGNATURE, frame, frame["score"].to_numpy())


def a_signal(name: str = "amount", psi: float = 0.01, **overrides: Any) -> SignalDrift:
    level = "alert" if psi > 0.25 else "stable"
    return SignalDrift(**({"name": name, "psi": psi, "expected_psi": 0.0, "level": level} | overrides))


def a_drift_report(*signals: SignalDrift, **overrides: Any) -> DriftReport:
    """Enough traffic; nothing moved unless a signal says so."""
    values: dict[str, Any] = {
        "model": "card_fraud",
        "package_arn": PACKAGE,
        "rows": 5_000,
        "first_at": NOW - timedelta(days=7),
        "last_at": NOW,
        "signals": signals or (a_signal(),),
        "failures": tuple(
            f"{signal.name}: PSI {signal.psi:.3f} > 0.25" for signal in signals if signal.level == "alert"
        ),
        "judged": True,
    }
    return DriftReport(**(values | overrides))


def a_performance_report(**overrides: Any) -> PerformanceReport:
    """All labels matured, and the figures hold."""
    values: dict[str, Any] = {
        "model": "card_fraud",
        "package_arn": PACKAGE,
        "as_of": NOW,
        "served": 5_000,
        "old_enough": 5_000,
        "matured": ModelMetrics(
            window=None, rows=5_000, positives=45, average_precision=0.65, roc_auc=0.87, calibration_error=0.003
        ),
        "reference_average_precision": 0.66,
        "judged": True,
        "failures": (),
    }
    return PerformanceReport(**(values | overrides))


def too_early(matured_rows: int = 0) -> PerformanceReport:
    """Labels are still on their way."""
    matured = ModelMetrics(window=None, rows=matured_rows, positives=0)
    return a_performance_report(
        matured=matured, judged=False, failures=(f"matured rows {matured_rows}: too early to tell",)
    )


def good_quality(**overrides: Any) -> CaptureQuality:
    return CaptureQuality(**({"rows": 5_000, "rejected": 0, "missing_jumps": {}} | overrides))


def a_skew_report(
    *, captured: int = 5000, skewed: int = 0, causes: Mapping[Cause, int] | None = None, package_arn: str = PACKAGE
) -> SkewReport:
    """5,000 requests compared, all alike, unless causes say how many values of ``amount`` differ."""
    named = [cause for cause, count in (causes or {}).items() for _ in range(count)]
    differences = pl.DataFrame(
        {"transaction_id": [str(number % max(skewed, 1)) for number in range(len(named))]}
        | {"feature": ["amount"] * len(named), "cause": named},
        schema={"transaction_id": pl.String, "feature": pl.String, "cause": pl.String},
    )
    return judge_skew(
        differences,
        SkewPolicy(),
        model="card_fraud",
        package_arn=package_arn,
        judged_at=NOW,
        captured=captured,
        compared=5000,
        features=3,
    )
