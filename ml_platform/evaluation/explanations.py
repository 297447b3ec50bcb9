"""What a model decides by: the importance of each feature with intervals, and whether reasons stay what they were.

Pure. Importance is the mean distance, in log-odds, that a feature moves a score (``modeling.reasons``); its interval
comes from drawing cards, as everywhere (``bootstrap``). A challenger that ranks as well for other reasons is no worse,
but reviewers and customers will hear other reasons tomorrow: that is told, and blocks nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core import svg
from ml_platform.core.verdict import Verdict
from ml_platform.evaluation.bootstrap import draw_cards, ratio_draws
from ml_platform.modeling.reasons import MAX_REASONS, agreement

if TYPE_CHECKING:
    import numpy as np

DRAWS = 200
SEED = 7
_INTERVAL = (2.5, 97.5)


class FeatureImportance(BaseModel):
    """How far one feature moves scores, on average."""

    model_config = ConfigDict(frozen=True)

    feature: str
    importance: float = Field(description="Mean absolute contribution, in log-odds.")
    low: float = Field(description="Lower end of the 95 % interval, by card.")
    high: float


class Explanations(BaseModel):
    """What a candidate decides by on the holdout, beside the champion's reasons on the same rows."""

    model_config = ConfigDict(frozen=True)

    model: str
    candidate_fingerprint: str
    rows: int
    importance: tuple[FeatureImportance, ...] = Field(description="Greatest first; empty when the model gives none.")
    champion_version: int | None = None
    agreement: float | None = Field(
        default=None, description="Share of reasons in common with the champion; None without one that gives reasons."
    )
    failures: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Passed when reasons are known, and are the champion's."""
        return Verdict(self.failures)

    def chart(self) -> str:
        """Draw the importance of the features."""
        names, values = [one.feature for one in self.importance], [one.importance for one in self.importance]
        return svg.bars(names, values, title="What moves scores (log-odds)", digits=3)


def importance_by_card(
    found: "np.ndarray", features: Sequence[str], cards: "np.ndarray", *, draws: int = DRAWS, seed: int = SEED
) -> tuple[FeatureImportance, ...]:
    """Return each feature's mean absolute contribution with its interval, greatest first.

    Args:
        found: Contributions of shape (n_rows, n_features) or one column more, the base value.
        features: Their names.
        cards: Number of each row's card, from 0.
        draws: How often cards are drawn.
        seed: Of the draws.
    """
    import numpy as np

    distance = np.abs(found[:, : len(features)])
    if not len(distance):
        return ()
    drawn = draw_cards(int(cards.max()) + 1, draws, seed)
    # Every draw has rows: each card that can be drawn has one.
    means = ratio_draws(cards, distance, np.ones_like(distance), drawn)
    low, high = np.percentile(means, _INTERVAL, axis=0)
    ranked = sorted(zip(features, distance.mean(axis=0), low, high, strict=True), key=lambda one: -one[1])
    return tuple(
        FeatureImportance(feature=name, importance=float(mean), low=float(least), high=float(most))
        for name, mean, least, most in ranked
    )


def reasons_in_common(
    first: tuple["np.ndarray", Sequence[str]], second: tuple["np.ndarray", Sequence[str]], *, most: int = MAX_REASONS
) -> float:
    """Return the share of reasons that two models give in common for the same rows.

    Args:
        first: Contributions of one model and the names of its features.
        second: The same of the other; a feature that only one model has is a reason of that one alone.
        most: Reasons per row.
    """
    every = sorted({*first[1], *second[1]})
    return agreement(*(_aligned(found, features, every) for found, features in (first, second)), most=most)


def _aligned(found: "np.ndarray", features: Sequence[str], every: Sequence[str]) -> "np.ndarray":
    import numpy as np

    aligned = np.zeros((len(found), len(every)))
    aligned[:, [every.index(name) for name in features]] = found[:, : len(features)]
    return aligned


def judge_reasons(
    challenger: "np.ndarray | None", in_common: float | None, min_agreement: float, *, champion: int | None
) -> Verdict:
    """Return what speaks against a candidate's reasons.

    Args:
        challenger: Its contributions; None when it gives no reasons.
        in_common: Share in common with the champion; None when that is not known.
        min_agreement: The least share.
        champion: Version of the champion; None before the first, when there is nothing to be stable against.
    """
    failures = []
    if challenger is None:
        failures.append("this kind of model gives no reasons: decisions cannot be explained one by one")
    elif champion is not None and in_common is None:
        failures.append(f"version {champion} gives no reasons: whether they are stable is unknown")
    elif in_common is not None and in_common < min_agreement:
        failures.append(
            f"{in_common:.0%} of the reasons are those of version {champion} (< {min_agreement:.0%}): "
            "the same payments will be explained by other features"
        )
    return Verdict.of(failures)
