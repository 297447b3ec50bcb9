"""Drift: how far live features and scores have moved from the baseline that travels with the model.

Pure. The measure is the population stability index (PSI) over the baseline's bins, less what sampling alone gives:
its expectation without any shift is (k - 1)(1/n + 1/m) for k bins and samples of n and m rows. Effect sizes, not
p-values: with traffic of any size, every benign wobble is significant. What to do about drift is ``decision``.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core import svg
from ml_platform.core.verdict import Verdict
from ml_platform.modeling.baseline import Baseline, Profile, profile
from ml_platform.modeling.schema import SCORE

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Level = Literal["stable", "warning", "alert"]

LAPLACE = 0.5
"""Added to every count, so that an empty bin does not make the index infinite."""


class DriftPolicy(BaseModel):
    """When a signal has moved. The defaults are the usual reading of the index."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    warn_psi: float = Field(default=0.10, gt=0, description="Corrected PSI from which a signal is worth a look.")
    alert_psi: float = Field(default=0.25, gt=0, description="Corrected PSI from which a signal has drifted.")
    min_rows: int = Field(default=1000, gt=0, description="Fewer captured rows than this cannot be judged.")


class SignalDrift(BaseModel):
    """One feature, or the score."""

    model_config = ConfigDict(frozen=True)

    name: str
    psi: float = Field(description="As measured.")
    expected_psi: float = Field(description="What sampling alone would give.")
    level: Level

    @property
    def corrected_psi(self) -> float:
        """The part of the index that sampling does not explain."""
        return max(self.psi - self.expected_psi, 0.0)


class DriftReport(BaseModel):
    """Every signal's movement over one window of captured traffic."""

    model_config = ConfigDict(frozen=True)

    model: str
    package_arn: str
    rows: int
    first_at: datetime | None = Field(description="First captured request.")
    last_at: datetime | None = Field(description="Last captured request.")
    signals: tuple[SignalDrift, ...]
    failures: tuple[str, ...]
    judged: bool = Field(description="Whether there was enough traffic to judge at all.")

    @property
    def alerts(self) -> tuple[str, ...]:
        """Names of the signals that have drifted, the most moved first."""
        moved = sorted(self.signals, key=lambda signal: -signal.corrected_psi)
        return tuple(signal.name for signal in moved if signal.level == "alert")

    @property
    def verdict(self) -> Verdict:
        """Passed when there was enough traffic and nothing drifted."""
        return Verdict(self.failures)

    def chart(self) -> str:
        """The most moved signals as inline bars."""
        moved = sorted(self.signals, key=lambda signal: -signal.corrected_psi)
        return svg.bars(
            [signal.name for signal in moved], [signal.corrected_psi for signal in moved], title="PSI by signal"
        )


def judge_drift(
    captured: "pd.DataFrame", baseline: Baseline, policy: DriftPolicy, *, model: str, package_arn: str
) -> DriftReport:
    """Hold captured rows against a baseline.

    Args:
        captured: One row per scored payment: the features, ``score`` and ``inference_time``.
        baseline: Of the model that served them.
        policy: The thresholds.
        model: Name of the model.
        package_arn: The package that served them.
    """
    enough = len(captured) >= policy.min_rows
    signals = tuple(
        _measure(name, baseline.columns[name], captured[name].to_numpy(dtype="float64"), policy)
        for name in (*baseline.features, SCORE)
        if enough
    )
    failures = [
        f"{signal.name}: PSI {signal.corrected_psi:.3f} > {policy.alert_psi:g}"
        for signal in signals
        if signal.level == "alert"
    ]
    if not enough:
        failures.append(f"captured rows {len(captured)} < {policy.min_rows}: too early to tell")
    times = captured["inference_time"]
    return DriftReport(
        model=model,
        package_arn=package_arn,
        rows=len(captured),
        first_at=times.min().to_pydatetime() if len(times) else None,
        last_at=times.max().to_pydatetime() if len(times) else None,
        signals=signals,
        failures=tuple(failures),
        judged=enough,
    )


def population_stability_index(reference: Profile, current: Profile) -> tuple[float, float]:
    """Return the index of two profiles over the same bins, and its expectation without any shift.

    Missing values are a bin of their own once either side has one.
    """
    import numpy as np

    def shares(side: Profile) -> "tuple[np.ndarray, int]":
        missing = (side.missing,) if reference.missing or current.missing else ()
        counts = np.asarray((*side.counts, *missing), dtype="float64") + LAPLACE
        return counts / counts.sum(), side.n_rows

    before, rows_before = shares(reference)
    now, rows_now = shares(current)
    index = float(((now - before) * np.log(now / before)).sum())
    return index, (len(before) - 1) * (1 / max(rows_before, 1) + 1 / max(rows_now, 1))


def _measure(name: str, reference: Profile, values: "np.ndarray", policy: DriftPolicy) -> SignalDrift:
    index, expected = population_stability_index(reference, profile(values, reference.edges))
    corrected = index - expected
    level: Level = "alert" if corrected > policy.alert_psi else "warning" if corrected > policy.warn_psi else "stable"
    return SignalDrift(name=name, psi=index, expected_psi=expected, level=level)
