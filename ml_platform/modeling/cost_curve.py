"""What payments would have cost under ever more reviews a day: how a reviewer sees what the operating point is worth.

Pure. The decisions are those of ``decision_policy`` at each number of reviews, and their costs those of ``money``, on
rows whose labels are known.
"""

from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.modeling.decision_policy import automatic_actions, review_saving
from ml_platform.modeling.money import PARTS, Action, MoneyParameters

if TYPE_CHECKING:
    import numpy as np

POINTS = 41
_MOST_OF_CAPACITY = 5
"""The curve ends at so many times the reviews that people can do: what lies beyond is nobody's choice."""


class CostCurve(BaseModel):
    """Costs of 1,000 payments by reviews per day, in the currency of the amounts; its parts add up to the cost."""

    model_config = ConfigDict(frozen=True)

    source: str = Field(description="Where the business's figures come from.")
    payments: int
    days: int
    reviews_per_day: tuple[float, ...] = Field(description="Reviews that people could do, ascending from 0.")
    fraud_losses: tuple[float, ...]
    false_declines: tuple[float, ...]
    reviews: tuple[float, ...]
    chosen: int = Field(description="Position of the operating point: the reviews that people can do.")
    doing_nothing: float = Field(description="Cost of approving everything.")

    @property
    def costs(self) -> tuple[float, ...]:
        """The whole cost at each point."""
        return tuple(map(sum, zip(self.fraud_losses, self.false_declines, self.reviews, strict=True)))

    @property
    def cost(self) -> float:
        """The whole cost at the operating point."""
        return self.costs[self.chosen]

    @property
    def savings(self) -> float:
        """What the operating point saves against approving everything."""
        return self.doing_nothing - self.cost

    @classmethod
    def measure(
        cls,
        scores: "np.ndarray",
        labels: "np.ndarray",
        amounts: "np.ndarray",
        days: "np.ndarray",
        money: MoneyParameters,
    ) -> Self:
        """Measure the curve.

        Args:
            scores: Probabilities of shape (n_rows,).
            labels: 0 or 1, of shape (n_rows,).
            amounts: Of shape (n_rows,).
            days: Day of each row.
            money: The business's figures.
        """
        import numpy as np

        n_days = len(np.unique(days))
        saving = review_saving(scores, amounts, money)
        first = np.argsort(-saving, kind="stable")[: int((saving > 0).sum())]
        worth = saving[first]
        reviewed = money.parts(np.full(len(first), Action.REVIEW), labels[first], amounts[first])
        automatic = money.parts(automatic_actions(scores, amounts, money), labels, amounts)
        budgets = _budgets(len(first) / n_days, money.reviews_per_day)
        # As the policy does it: where more are tied than there is room for, none of the tied is reviewed.
        done = [
            len(worth) if (room := budget * n_days) >= len(worth) else int(np.searchsorted(-worth, -worth[room]))
            for budget in budgets
        ]
        per_1000 = 1000 / len(scores)
        spent = {
            part: per_1000
            * (automatic[part].sum() + np.append(0.0, np.cumsum(reviewed[part] - automatic[part][first]))[done])
            for part in PARTS
        }
        approved = money.realised(np.full(len(scores), Action.APPROVE), labels, amounts)
        return cls(
            source=money.source,
            payments=len(scores),
            days=n_days,
            reviews_per_day=tuple(map(float, budgets)),
            **{part: tuple(np.round(values, 4).tolist()) for part, values in spent.items()},
            chosen=budgets.index(min(money.reviews_per_day, budgets[-1])),
            doing_nothing=round(float(approved.sum() * per_1000), 4),
        )


def _budgets(worth_per_day: float, capacity: int) -> list[int]:
    """Return whole numbers of reviews a day, from none to all that save something, the capacity among them."""
    import numpy as np

    needed = int(np.ceil(worth_per_day))
    most = min(needed, _MOST_OF_CAPACITY * capacity) if capacity else needed
    return sorted({*np.linspace(0, most, POINTS).round().astype(int).tolist(), min(capacity, most)})
