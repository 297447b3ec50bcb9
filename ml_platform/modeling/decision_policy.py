"""The decision policy: from a score and an amount to approve, review or decline, at the least expected cost.

A document of its own beside the model: it is fitted again in seconds when money, capacity or the share of frauds
moves, without a new model. Elkan (2001), "The Foundations of Cost-Sensitive Learning": with calibrated probabilities
the cheapest action is the one of least expected cost, and no threshold has to be learnt. What is fitted is how much a
review must save before it is worth one of the day's reviews; and, once served scores have labels enough that matured,
what the model's scores mean today: Platt scaling of their log-odds.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core.errors import ConfigurationError
from ml_platform.core.fingerprint import fingerprint_json
from ml_platform.modeling.calibration import IDENTITY, Calibration, fit_platt
from ml_platform.modeling.money import Action, MoneyParameters

if TYPE_CHECKING:
    import numpy as np

_SMALLEST = 1e-12
"""Scores are kept this far from 0 and 1, where log-odds have no end."""


@dataclass(frozen=True, slots=True)
class Matured:
    """Served scores whose labels are known by now; both of shape (n_rows,)."""

    scores: "np.ndarray"
    labels: "np.ndarray"

    @property
    def positives(self) -> int:
        """Known frauds."""
        return int(self.labels.sum())

    def calibration(self) -> Calibration:
        """Fit what the scores mean; scores that rank no better than chance keep their meaning."""
        _require_probabilities(self.scores)
        return fit_platt(_log_odds(self.scores), self.labels)


class DecisionPolicy(BaseModel):
    """How scores of one model become actions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(description="Name of the model whose scores it reads.")
    artifact_fingerprint: str = Field(description="The artifact whose scores it was fitted on.")
    money: MoneyParameters = MoneyParameters()
    calibration: Calibration = Field(
        default=IDENTITY, description="From the log-odds of the model's score to those of fraud, by matured labels."
    )
    calibrated_on: int = Field(default=0, ge=0, description="Known frauds behind the calibration; 0: none was fitted.")
    min_review_saving: float = Field(
        ge=0, description="A review must be expected to save this much; it keeps the reviews within a day's capacity."
    )
    fitted_from: datetime | None = Field(default=None, description="First instant of the rows it was fitted on.")
    fitted_until: datetime | None = None
    reviews_per_day: float = Field(default=0.0, ge=0, description="Mean reviews per day on the fitted rows.")

    @property
    def version(self) -> str:
        """Hash of everything that decides."""
        return fingerprint_json(self.model_dump(mode="json"))[:12]

    @classmethod
    def fit(
        cls,
        scores: "np.ndarray",
        amounts: "np.ndarray",
        days: "np.ndarray",
        *,
        model: str,
        artifact_fingerprint: str,
        money: MoneyParameters,
        window: tuple[datetime, datetime] | None = None,
        matured: "Matured | None" = None,
    ) -> Self:
        """Choose how much a review must save, so that an average day has no more than its reviews.

        Labels are not needed: what a review saves is expected from the score. With matured ones the scores are first
        brought to the rate of fraud that they meet today.

        Args:
            scores: Probabilities of shape (n_rows,), as the model gives them.
            amounts: Amounts of shape (n_rows,).
            days: Day of each row.
            model: Name of the model.
            artifact_fingerprint: Fingerprint of the artifact that gave the scores.
            money: The business's figures.
            window: First and last instant of the rows.
            matured: Served scores whose labels are known, or None.

        Raises:
            ConfigurationError: When there are no rows, or a score that is no probability.
        """
        import numpy as np

        if not len(scores):
            raise ConfigurationError("A decision policy cannot be fitted on no rows; choose a window with payments.")
        _require_probabilities(scores)
        calibration, calibrated_on = (matured.calibration(), matured.positives) if matured else (IDENTITY, 0)
        saving = review_saving(_meant(calibration, scores), amounts, money)
        capacity = money.reviews_per_day * len(np.unique(days))
        worth = np.sort(saving[saving > 0])[::-1]
        limit = float(np.nextafter(worth[capacity], np.inf)) if capacity < len(worth) else 0.0
        policy = cls(
            model=model,
            artifact_fingerprint=artifact_fingerprint,
            money=money,
            calibration=calibration,
            calibrated_on=calibrated_on,
            min_review_saving=limit,
            fitted_from=window[0] if window else None,
            fitted_until=window[1] if window else None,
        )
        reviews = (policy.decide(scores, amounts) == Action.REVIEW).sum() / len(np.unique(days))
        return policy.model_copy(update={"reviews_per_day": round(float(reviews), 3)})

    def decide(self, scores: "np.ndarray", amounts: "np.ndarray") -> "np.ndarray":
        """Return the cheapest :class:`Action` of each payment as int8 of shape (n_rows,)."""
        import numpy as np

        scores = self.probabilities(scores)
        saving = review_saving(scores, amounts, self.money)
        reviewed = (saving > 0) & (saving >= self.min_review_saving)
        return np.where(reviewed, Action.REVIEW, automatic_actions(scores, amounts, self.money)).astype("int8")

    def probabilities(self, scores: "np.ndarray") -> "np.ndarray":
        """Return what the model's scores mean by this policy's calibration."""
        return _meant(self.calibration, scores)

    def expected_cost(self, scores: "np.ndarray", amounts: "np.ndarray") -> "np.ndarray":
        """Return what each decided payment is expected to cost, of shape (n_rows,)."""
        import numpy as np

        meant = self.probabilities(scores)
        by_action = np.stack([_expected(action, meant, amounts, self.money) for action in Action])
        cost: np.ndarray = np.take_along_axis(by_action, self.decide(scores, amounts)[None, :].astype(int), axis=0)[0]
        return cost


def _require_probabilities(scores: "np.ndarray") -> None:
    import numpy as np

    if not (np.isfinite(scores).all() and (scores >= 0).all() and (scores <= 1).all()):
        raise ConfigurationError("A decision policy needs probabilities in [0, 1]; some scores are not.")


def _log_odds(scores: "np.ndarray") -> "np.ndarray":
    import numpy as np

    kept = np.clip(scores, _SMALLEST, 1 - _SMALLEST)
    odds: np.ndarray = np.log(kept) - np.log1p(-kept)
    return odds


def _meant(calibration: Calibration, scores: "np.ndarray") -> "np.ndarray":
    # Not through log-odds and back: a score that means itself keeps every bit.
    return scores if calibration == IDENTITY else calibration.probabilities(_log_odds(scores))


def _expected(action: Action, scores: "np.ndarray", amounts: "np.ndarray", money: MoneyParameters) -> "np.ndarray":
    expected: np.ndarray = scores * money.cost_if_fraud(action, amounts) + (1 - scores) * money.cost_if_genuine(
        action, amounts
    )
    return expected


def automatic_actions(scores: "np.ndarray", amounts: "np.ndarray", money: MoneyParameters) -> "np.ndarray":
    """Return the cheaper of approving and declining each payment, as int8 of shape (n_rows,)."""
    import numpy as np

    approve, decline = (_expected(action, scores, amounts, money) for action in (Action.APPROVE, Action.DECLINE))
    return np.where(decline < approve, Action.DECLINE, Action.APPROVE).astype("int8")


def review_saving(scores: "np.ndarray", amounts: "np.ndarray", money: MoneyParameters) -> "np.ndarray":
    """What a review is expected to save over the cheaper of approving and declining."""
    import numpy as np

    approve, review, decline = (_expected(action, scores, amounts, money) for action in Action)
    saved: np.ndarray = np.minimum(approve, decline) - review
    return saved
