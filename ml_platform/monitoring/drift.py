"""Drift: how far live features and scores have moved from the baseline that travels with the model.

Pure. The measure is the population stability index (PSI) over the baseline's bins, less what sampling alone gives
(``modeling.baseline``). Effect sizes, not p-values: with traffic of any size, every benign wobble is significant. What
to do about drift is ``decision``.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core import svg
from ml_platform.core.verdict import Verdict
from ml_platform.modeling.baseline import Baseline, Profile, population_stability_index, profile
from ml_platform.modeling.schema import SCORE

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Level = Literal["stable", "warning", "alert", "exempt"]

MAX_TABLE = 999
"""The UI shows Markdown inline only below 1,000 characters."""


class DriftPolicy(BaseModel):
    """When a signal has moved. The defaults are the usual reading of the index."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    warn_psi: float = Field(default=0.10, gt=0, description="Corrected PSI from which a signal is worth a look.")
    alert_psi: float = Field(default=0.25, gt=0, description="Corrected PSI from which a signal has drifted.")
    min_rows: int = Field(
        default=1000, gt=0, description="Fewer captured rows than this cannot be judged: sampling alone moves the PSI."
    )
    calendar_features: tuple[str, ...] = Field(
        default=("is_weekend", "is_night"),
        description="Features that the clock decides. They are shown and never judged: a Sunday is not drift.",
    )


class SignalDrift(BaseModel):
    """One feature, or the score."""

    model_config = ConfigDict(frozen=True)

    name: str
    psi: float = Field(description="As measured.")
    expected_psi: float = Field(description="What sampling alone would give.")
    level: Level
    missing_share: float = Field(default=0.0, description="Share of the captured rows without a value.")

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
    unknown: tuple[str, ...] = Field(default=(), description="Signals of the baseline that were not captured.")
    failures: tuple[str, ...]
    judged: bool = Field(description="Whether there was enough traffic to judge at all.")
    thresholds: tuple[float, float] = Field(default=(0.10, 0.25), description="PSI of a warning and of an alert.")

    @property
    def ranked(self) -> tuple[SignalDrift, ...]:
        """All signals, the most moved first."""
        return tuple(sorted(self.signals, key=lambda signal: -signal.corrected_psi))

    @property
    def alerts(self) -> tuple[str, ...]:
        """Names of the signals that have drifted, the most moved first."""
        return tuple(signal.name for signal in self.ranked if signal.level == "alert")

    @property
    def warnings(self) -> tuple[str, ...]:
        """Names of the signals that are worth a look, the most moved first."""
        return tuple(signal.name for signal in self.ranked if signal.level == "warning")

    @property
    def verdict(self) -> Verdict:
        """Passed when everything could be judged and nothing drifted; a warning does not count against."""
        return Verdict(self.failures)

    def chart(self) -> str:
        """The most moved signals as inline bars, with lines at the thresholds."""
        warning, alert = self.thresholds
        return svg.bars(
            [signal.name for signal in self.ranked],
            [signal.corrected_psi for signal in self.ranked],
            title=f"PSI, warning {warning:g}, alert {alert:g}",
            thresholds=self.thresholds,
        )

    def table(self) -> str:
        """The signals as a Markdown table, the most moved first, as many as the UI shows inline."""
        lines = ["| signal | PSI | missing | level |", "|---|---|---|---|"]
        room = MAX_TABLE - len("\n".join(lines)) - len("\n| … 100 more | | | |")
        for position, signal in enumerate(self.ranked):
            line = f"| {signal.name} | {signal.corrected_psi:.3f} | {signal.missing_share:.1%} | {signal.level} |"
            room -= len(line) + 1
            if room < 0:
                lines.append(f"| … {len(self.signals) - position} more | | | |")
                break
            lines.append(line)
        return "\n".join(lines)


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
    expected = (*baseline.features, SCORE)
    signals = tuple(
        _measure(name, baseline.columns[name], captured[name].to_numpy(dtype="float64"), policy)
        for name in expected
        if enough and name in captured.columns
    )
    unknown = tuple(name for name in expected if name not in captured.columns)
    times = captured["inference_time"]
    return DriftReport(
        model=model,
        package_arn=package_arn,
        rows=len(captured),
        first_at=times.min().to_pydatetime() if len(times) else None,
        last_at=times.max().to_pydatetime() if len(times) else None,
        signals=signals,
        unknown=unknown,
        failures=(*_reasons(signals, unknown, policy), *_too_few(len(captured), policy)),
        judged=enough,
        thresholds=(policy.warn_psi, policy.alert_psi),
    )


def _measure(name: str, reference: Profile, values: "np.ndarray", policy: DriftPolicy) -> SignalDrift:
    current = profile(values, reference.edges)
    index, expected = population_stability_index(reference, current)
    return SignalDrift(
        name=name,
        psi=index,
        expected_psi=expected,
        level=_level(name, index - expected, policy),
        missing_share=current.missing / max(current.n_rows, 1),
    )


def _level(name: str, corrected: float, policy: DriftPolicy) -> Level:
    if name in policy.calendar_features:
        return "exempt"
    if corrected > policy.alert_psi:
        return "alert"
    return "warning" if corrected > policy.warn_psi else "stable"


def _reasons(signals: tuple[SignalDrift, ...], unknown: tuple[str, ...], policy: DriftPolicy) -> Iterator[str]:
    for signal in sorted(signals, key=lambda signal: -signal.corrected_psi):
        if signal.level == "alert":
            yield f"{signal.name}: PSI {signal.corrected_psi:.3f} > {policy.alert_psi:g}"
    for name in unknown:
        yield f"{name}: not captured, so its drift is unknown"


def _too_few(rows: int, policy: DriftPolicy) -> Iterator[str]:
    if rows < policy.min_rows:
        yield f"captured rows {rows} < {policy.min_rows}: too early to tell"
