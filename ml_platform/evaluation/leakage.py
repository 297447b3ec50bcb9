"""Leakage probes: signs that a model learnt what it could not have known.

Pure; what fits a model is handed in. Labels are broken on purpose, and a model that still finds the frauds of the
holdout has another way to them: an index that follows the label, a feature written after the fact. And a single
feature that ranks nearly perfectly is named, because honest ones do not (Kaufman et al. 2012,
"Leakage in data mining").
"""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core.verdict import Verdict
from ml_platform.evaluation.folds import Fit
from ml_platform.modeling.ranking import average_precision

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MAX_ROWS = 20_000
FITS = 3
"""Fits of each probe; the middle one counts. One alone is lucky too often (ADR 0012); a leak helps them all."""


class LeakagePolicy(BaseModel):
    """Limits of the probes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_lift_without_labels: float = Field(
        default=4.0,
        gt=1,
        description="Lift over chance of the middle of three models fitted on broken labels. Luck alone reached 1.9 in "
        "5 % and 4 in 0.2 % of the honest probes simulated for ADR 0012.",
    )
    max_average_precision_of_one_feature: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="What one feature may reach alone. The best honest one of five simulated worlds, known frauds of "
        "terminals, reached 0.42.",
    )


class LeakageReport(BaseModel):
    """What the probes found."""

    model_config = ConfigDict(frozen=True)

    chance: float = Field(description="Rate of positives in the holdout: what a blind model's average precision is.")
    model: float = Field(description="Average precision of the candidate.")
    shuffled: float = Field(description="Of models fitted on permuted labels; the middle one.")
    shifted: float = Field(description="Of models fitted on labels moved to other rows in time; the middle one.")
    features: dict[str, float] = Field(description="Of each feature alone, in its better direction.")

    def verdict(self, policy: LeakagePolicy) -> Verdict:
        """Judge the probes; every reason is listed."""
        return Verdict.of(self._failures(policy))

    def _failures(self, policy: LeakagePolicy) -> Iterator[str]:
        limit = policy.max_lift_without_labels * self.chance
        for name, found in (("permuted", self.shuffled), ("shifted", self.shifted)):
            # A tiny holdout's chance level is so near to one that no lift is possible.
            if found > min(limit, 1.0):
                yield (
                    f"leakage: a model fitted on {name} labels reaches average precision {found:.4f}, "
                    f"chance is {self.chance:.4f}"
                )
        for name, found in self.features.items():
            if found > policy.max_average_precision_of_one_feature:
                yield (
                    f"leakage: {name} alone reaches average precision {found:.4f}, the whole model {self.model:.4f}: "
                    "was it known at the event?"
                )


def probe_leakage(
    train: "pd.DataFrame",
    holdout: "pd.DataFrame",
    scores: "np.ndarray",
    fit: Fit,
    *,
    features: Sequence[str],
    label: str = "label",
    seed: int = 0,
) -> LeakageReport:
    """Run the probes.

    Args:
        train: Training rows in order of time; a sample of at most ``MAX_ROWS`` is fitted on.
        holdout: Holdout rows.
        scores: The candidate's scores of the holdout, of shape (n_rows,).
        fit: Fits a small model, whatever kind the candidate is of: the probes are about the data.
        features: The model's inputs.
        label: Column with 0 or 1; both must occur in both frames.
        seed: Of the sample and the permutation.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    sample = train
    if len(train) > MAX_ROWS:
        sample = train.iloc[np.sort(random.choice(len(train), MAX_ROWS, replace=False))]
    truth = sample[label].to_numpy()
    target = holdout[label].to_numpy()
    broken = {
        "shuffled": [random.permutation(truth) for _ in range(FITS)],
        "shifted": [np.roll(truth, len(truth) * turn // (FITS + 1)) for turn in range(1, FITS + 1)],
    }
    found = {
        name: median(average_precision(target, fit(sample.assign(**{label: each}))(holdout)) for each in labels)
        for name, labels in broken.items()
    }
    return LeakageReport(
        chance=float(target.mean()),
        model=average_precision(target, scores),
        features={name: _alone(target, holdout[name].to_numpy(dtype=float)) for name in features},
        **found,
    )


def _alone(labels: "np.ndarray", values: "np.ndarray") -> float:
    import numpy as np

    # Missing values rank between the directions: last in both.
    known = np.isfinite(values)
    up, down = (np.where(known, sign * values, -np.inf) for sign in (1.0, -1.0))
    return max(average_precision(labels, up), average_precision(labels, down))
