"""Whether a model's scores keep their distribution: from the days it was calibrated on to the days that judge it.

Pure. The measure is the population stability index over the deciles of the first, as in monitoring; whether live
scores have drifted is ``monitoring.drift``.
"""

from datetime import date
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.modeling.baseline import Profile, population_stability_index, profile, quantile_edges

if TYPE_CHECKING:
    import numpy as np

TOP_SHARE = 0.01


class ScoreShift(BaseModel):
    """How far the scores of some rows lie from those of the validation days."""

    model_config = ConfigDict(frozen=True)

    rows: int
    mean: float
    psi: float = Field(ge=0, description="Population stability index, less what sampling alone would give.")

    @classmethod
    def of(cls, reference: Profile, scores: "np.ndarray") -> Self:
        """Measure scores of shape (n_rows,) against a profile."""
        index, expected = population_stability_index(reference, profile(scores, reference.edges))
        return cls(rows=len(scores), mean=round(float(scores.mean()), 6), psi=round(max(index - expected, 0.0), 5))


class ScoreStability(BaseModel):
    """The holdout's scores against those of the validation days, as a whole and day by day."""

    model_config = ConfigDict(frozen=True)

    validation_rows: int
    validation_mean: float
    holdout: ScoreShift
    days: dict[date, ScoreShift]

    @property
    def worst_day(self) -> date:
        """The day whose scores lie furthest away."""
        return max(self.days, key=lambda day: self.days[day].psi)

    @classmethod
    def measure(cls, validation: "np.ndarray", holdout: "np.ndarray", days: "np.ndarray") -> Self:
        """Measure finite scores of shape (n_rows,); ``days`` are those of the holdout's rows."""
        import numpy as np

        reference = profile(validation, quantile_edges(validation))
        return cls(
            validation_rows=len(validation),
            validation_mean=round(float(validation.mean()), 6),
            holdout=ScoreShift.of(reference, holdout),
            days={day: ScoreShift.of(reference, holdout[days == day]) for day in np.unique(days)},
        )


class ScoreAgreement(BaseModel):
    """How far two models agree on the same rows."""

    model_config = ConfigDict(frozen=True)

    rank_correlation: float | None = Field(description="Spearman's; None when a model gives all rows one score.")
    top_overlap: float = Field(ge=0, le=1, description="Share of one's highest-scored 1 % that is in the other's too.")

    @classmethod
    def measure(cls, ours: "np.ndarray", theirs: "np.ndarray") -> Self:
        """Measure finite scores of shape (n_rows,), in the same order."""
        import numpy as np
        import pandas as pd

        top = max(round(TOP_SHARE * len(ours)), 1)
        highest = [set(np.argsort(-scores, kind="stable")[:top].tolist()) for scores in (ours, theirs)]
        ranks = [pd.Series(scores).rank().to_numpy() for scores in (ours, theirs)]
        constant = any(np.ptp(scores) == 0 for scores in (ours, theirs))
        return cls(
            rank_correlation=None if constant else round(float(np.corrcoef(*ranks)[0, 1]), 5),
            top_overlap=round(len(highest[0] & highest[1]) / top, 5),
        )
