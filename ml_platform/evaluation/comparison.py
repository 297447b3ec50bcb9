"""Challenger against champion on the same rows: differences with intervals, slice by slice, and in money.

Pure. The figures of one model alone are ``report``; which differences are good enough is ``gate``.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.evaluation.bootstrap import (
    DRAWS,
    RANKING_METRICS,
    ScoredRows,
    draw_cards,
    drawn_together,
    ranking_draws,
    ratio_draws,
)
from ml_platform.evaluation.slices import PAYMENT_SLICES, SliceBy, cut_all, flagged_rows
from ml_platform.modeling.declared_metrics import FRAUD_METRICS, METRICS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

CONFIDENCE = 0.90
"""Of each one-sided bound. By simulation (ADR 0012) they hold as often as they say: the lower bound of two equal models
lies above zero in 9 to 12 of 100 holdouts."""


class Difference(BaseModel):
    """One metric of both models, and how far chance can move the difference."""

    model_config = ConfigDict(frozen=True)

    metric: str
    challenger: float = Field(description="Of a metric whose smaller values are better, its negative: more is better.")
    champion: float
    low: float = Field(description="Lower bound of challenger minus champion: one-sided, at ``CONFIDENCE``.")
    high: float = Field(description="Upper bound, likewise.")
    worse_p: float = Field(ge=0, le=1, description="Share of draws in which the challenger is no worse: small is bad.")
    no_better_p: float | None = Field(
        default=None, ge=0, le=1, description="Share of draws in which the challenger is no better: small is good."
    )

    @property
    def difference(self) -> float:
        """Challenger minus champion."""
        return self.challenger - self.champion


class SliceDifference(Difference):
    """Recall of both models on one slice, at the same false-positive rate over all rows."""

    slice: str
    rows: int
    positives: int


class Comparison(BaseModel):
    """Everything the gate weighs beside the floors."""

    model_config = ConfigDict(frozen=True)

    draws: int
    seed: int
    confidence: float = CONFIDENCE
    metrics: tuple[Difference, ...]
    slices: tuple[SliceDifference, ...] = ()
    small_slices: dict[str, int] = Field(
        default_factory=dict, description="Slices with too few positives to judge, and how many they have."
    )

    def metric(self, name: str) -> Difference | None:
        """Return a metric's difference, or None when it was not compared."""
        return next((found for found in self.metrics if found.metric == name), None)


def compare(  # noqa: PLR0913  # keyword-only options with defaults
    holdout: "pd.DataFrame",
    challenger: "np.ndarray",
    champion: "np.ndarray",
    *,
    costs: "Mapping[str, np.ndarray] | None" = None,
    slices: Sequence[SliceBy] = PAYMENT_SLICES,
    min_slice_positives: int = 20,
    declared: Sequence[str] = FRAUD_METRICS,
    label: str = "label",
    card: str = "customer_id",
    draws: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Compare two models' scores row by row.

    Args:
        holdout: One row per transaction: ``event_time``, the label, the card, and what slices cut by.
        challenger: Scores of shape (n_rows,), finite.
        champion: The same of the champion.
        costs: What each payment cost under ``challenger`` and ``champion``, each of shape (n_rows,).
        slices: How to cut the rows.
        min_slice_positives: Positives a slice needs; with fewer it is listed in ``small_slices``.
        declared: Names of the metrics that the model is judged by.
        label: Column with 0 or 1.
        card: Column of what is drawn as a whole; without it, each row is.
        draws: Draws of the bootstrap.
        seed: Of the draws.

    Raises:
        ValueError: When the labels have one class only, or a score is not a finite number.
    """
    import numpy as np

    labels = holdout[label].to_numpy()
    scores = {"challenger": np.asarray(challenger, float), "champion": np.asarray(champion, float)}
    _require_comparable(labels, scores)
    rows = ScoredRows.of(labels, drawn_together(holdout, card), holdout["event_time"])
    drawn = draw_cards(int(rows.cards.max()) + 1, draws, seed)
    measured = ranking_draws(rows, scores, drawn)
    ours, theirs = measured["challenger"], measured["champion"]
    metrics = [
        _difference(name, ours.figures[name], theirs.figures[name], ours.values[name] - theirs.values[name])
        for name in RANKING_METRICS
        if METRICS[name].needs != "cards" or (name in declared and card in holdout.columns)
    ]
    spent = {
        name: {model: by_row(labels, given) for model, given in scores.items()}
        for name in declared
        if (by_row := METRICS[name].by_row) is not None
    }
    if costs is not None:
        spent["cost_per_1000"] = {model: 1000 * given for model, given in costs.items()}
    metrics += [_kept(name, rows, by_model, drawn) for name, by_model in spent.items()]
    flagged = {name: flagged_rows(labels, given) for name, given in scores.items()}
    judged, small = cut_all(holdout, labels, slices, min_slice_positives)
    return Comparison(
        draws=draws,
        seed=seed,
        metrics=tuple(metrics),
        slices=_slice_differences(rows, flagged, judged, drawn),
        small_slices=small,
    )


def _require_comparable(labels: "np.ndarray", scores: "Mapping[str, np.ndarray]") -> None:
    import numpy as np

    if len(np.unique(labels)) < 2:  # noqa: PLR2004
        raise ValueError(f"one class only: {int((labels == 1).sum())} positives in {len(labels)} rows")
    for name, given in scores.items():
        if len(given) != len(labels):
            raise ValueError(f"{len(labels)} rows but {len(given)} scores of the {name}")
        if broken := int((~np.isfinite(given)).sum()):
            raise ValueError(f"{broken} of {len(given)} scores of the {name} are not finite numbers")


def _difference(name: str, challenger: float, champion: float, deltas: "np.ndarray") -> Difference:
    return Difference(metric=name, challenger=challenger, champion=champion, **_bounds(deltas))


def _bounds(deltas: "np.ndarray") -> dict[str, float]:
    """One-sided bounds, and the shares of draws on either side of zero with Davison and Hinkley's plus one."""
    import numpy as np

    known = deltas[np.isfinite(deltas)]
    if not len(known):
        return {"low": -np.inf, "high": np.inf, "worse_p": 1.0, "no_better_p": 1.0}
    low, high = np.quantile(known, [1 - CONFIDENCE, CONFIDENCE])
    no_worse, no_better = (1 + (known >= 0).sum()) / (1 + len(known)), (1 + (known <= 0).sum()) / (1 + len(known))
    return {"low": float(low), "high": float(high), "worse_p": float(no_worse), "no_better_p": float(no_better)}


def _kept(name: str, rows: ScoredRows, spent: "Mapping[str, np.ndarray]", drawn: "np.ndarray") -> Difference:
    """What the challenger keeps of a mean whose smaller values are better, such as a loss or money spent."""
    import numpy as np

    by_row = np.stack([spent["challenger"], spent["champion"]], axis=1)
    means = ratio_draws(rows.cards, by_row, np.ones_like(by_row), drawn)
    ours, theirs = by_row.mean(axis=0)
    return _difference(name, -float(ours), -float(theirs), means[:, 1] - means[:, 0])


def _slice_differences(
    rows: ScoredRows,
    flagged: "Mapping[str, np.ndarray]",
    judged: "Mapping[str, np.ndarray]",
    drawn: "np.ndarray",
) -> tuple[SliceDifference, ...]:
    import numpy as np

    if not judged:
        return ()
    frauds = np.stack([members & (rows.labels == 1) for members in judged.values()], axis=1).astype(float)
    recall = {name: ratio_draws(rows.cards, frauds * given[:, None], frauds, drawn) for name, given in flagged.items()}
    differences = []
    for column, (name, members) in enumerate(judged.items()):
        truth = members & (rows.labels == 1)
        bounds = _bounds(recall["challenger"][:, column] - recall["champion"][:, column])
        differences.append(
            SliceDifference(
                metric="recall_at_fpr",
                slice=name,
                rows=int(members.sum()),
                positives=int(truth.sum()),
                challenger=float(flagged["challenger"][truth].mean()),
                champion=float(flagged["champion"][truth].mean()),
                **bounds,
            )
        )
    return tuple(differences)
