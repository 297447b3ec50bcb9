"""The decision policy: from a score and an amount to approve, review or decline, at the least expected cost.

A document of its own beside the model: it is fitted again in seconds when money, capacity or the share of frauds
moves, without a new model. Elkan (2001), "The Foundations of Cost-Sensitive Learning": with calibrated probabilities
the cheapest action is the one of least expected cost, and no threshold has to be learnt. What is fitted is one number:
how much a review must save before it is worth one of the day's reviews.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core.errors import ConfigurationError
from ml_platform.core.fingerprint import fingerprint_json
from ml_platform.modeling.money import Action, MoneyParameters

if TYPE_CHECKING:
    import numpy as np


class DecisionPolicy(BaseModel):
    """How scores of one model become actions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(description="Name of the model whose scores it reads.")
    artifact_fingerprint: str = Field(description="The artifact whose scores it was fitted on.")
    money: MoneyParameters = MoneyParameters()
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
    ) -> Self:
        """Choose how much a review must save, so that an average day has no more than its reviews.

        Labels are not needed: what a review saves is expected from the score, which must be calibrated.

        Args:
            scores: Calibrated probabilities of shape (n_rows,).
            amounts: Amounts of shape (n_rows,).
            days: Day of each row.
            model: Name of the model.
            artifact_fingerprint: Fingerprint of the artifact that gave the scores.
            money: The business's figures.
            window: First and last instant of the rows.

        Raises:
            ConfigurationError: When there are no rows, or a score that is no probability.
        """
        import numpy as np

        if not len(scores):
            raise ConfigurationError("A decision policy cannot be fitted on no rows; choose a window with payments.")
        if not (np.isfinite(scores).all() and (scores >= 0).all() and (scores <= 1).all()):
            raise ConfigurationError("A decision policy needs probabilities in [0, 1]; some scores are not.")
        saving = _review_saving(scores, amounts, money)
        capacity = money.reviews_per_day * len(np.unique(days))
        worth = np.sort(saving[saving > 0])[::-1]
        limit = float(np.nextafter(worth[capacity], np.inf)) if capacity < len(worth) else 0.0
        policy = cls(
            model=model,
            artifact_fingerprint=artifact_fingerprint,
            money=money,
            min_review_saving=limit,
            fitted_from=window[0] if window else None,
            fitted_until=window[1] if window else None,
        )
        reviews = (policy.decide(scores, amounts) == Action.REVIEW).sum() / len(np.unique(days))
        return policy.model_copy(update={"reviews_per_day": round(float(reviews), 3)})

    def decide(self, scores: "np.ndarray", amounts: "np.ndarray") -> "np.ndarray":
        """Return the cheapest :class:`Action` of each payment as int8 of shape (n_rows,)."""
        import numpy as np

        approve, decline = (
            _expected(action, scores, amounts, self.money) for action in (Action.APPROVE, Action.DECLINE)
        )
        saving = _review_saving(scores, amounts, self.money)
        automatic = np.where(decline < approve, Action.DECLINE, Action.APPROVE)
        reviewed = (saving > 0) & (saving >= self.min_review_saving)
        return np.where(reviewed, Action.REVIEW, automatic).astype("int8")

    def expected_cost(self, scores: "np.ndarray", amounts: "np.ndarray") -> "np.ndarray":
        """Return what each decided payment costs by the scores' own probabilities, of shape (n_rows,)."""
        import numpy as np

        by_action = np.stack([_expected(action, scores, amounts, self.money) for action in Action])
        cost: np.ndarray = np.take_along_axis(by_action, self.decide(scores, amounts)[None, :].astype(int), axis=0)[0]
        return cost


def _expected(action: Action, scores: "np.ndarray", amounts: "np.ndarray", money: MoneyParameters) -> "np.ndarray":
    expected: np.ndarray = scores * money.cost_if_fraud(action, amounts) + (1 - scores) * money.cost_if_genuine(
        action, amounts
    )
    return expected


def _review_saving(scores: "np.ndarray", amounts: "np.ndarray", money: MoneyParameters) -> "np.ndarray":
    """What a review is expected to save over the cheaper of approving and declining."""
    import numpy as np

    approve, review, decline = (_expected(action, scores, amounts, money) for action in Action)
    saved: np.ndarray = np.minimum(approve, decline) - review
    return saved
