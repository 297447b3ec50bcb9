"""What decisions about payments cost: the amounts a business gives, and their source.

Pure. Costs are in the currency of the payments' amounts. Choosing the cheapest decision is ``decision_policy``.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import numpy as np


PARTS = ("fraud_losses", "false_declines", "reviews")
"""What money is spent on."""


class Action(IntEnum):
    """What happens to a payment."""

    APPROVE = 0
    REVIEW = 1
    DECLINE = 2


class MoneyParameters(BaseModel):
    """The business's own figures. The defaults are assumptions, and ``source`` says so wherever they are shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(
        default="assumed by the platform; replace by figures of your own books",
        min_length=1,
        description="Where these figures come from; shown beside every amount.",
    )
    fraud_loss_rate: float = Field(default=1.0, ge=0, description="Share of an approved fraud's amount that is lost.")
    fraud_fee: float = Field(default=15.0, ge=0, description="Fee of one chargeback, lost with each approved fraud.")
    margin_rate: float = Field(default=0.02, ge=0, le=1, description="Share of a genuine amount earned if approved.")
    false_decline_cost: float = Field(
        default=5.0, ge=0, description="Cost of one genuine payment declined, beside its margin: calls, lost customers."
    )
    review_cost: float = Field(default=3.0, ge=0, description="Cost of one payment looked at by a person.")
    review_detection_rate: float = Field(default=0.9, ge=0, le=1, description="Frauds that a review recognises.")
    reviews_per_day: int = Field(default=100, ge=0, description="Reviews that people can do in a day.")

    def cost_if_fraud(self, action: Action, amounts: "np.ndarray") -> "np.ndarray":
        """Cost of an action on payments that are frauds, of shape (n_rows,)."""
        loss = amounts * self.fraud_loss_rate + self.fraud_fee
        if action is Action.APPROVE:
            return loss
        if action is Action.REVIEW:
            return loss * (1 - self.review_detection_rate) + self.review_cost
        return loss * 0.0

    def cost_if_genuine(self, action: Action, amounts: "np.ndarray") -> "np.ndarray":
        """Cost of an action on payments that are genuine, of shape (n_rows,)."""
        if action is Action.APPROVE:
            return amounts * 0.0
        if action is Action.REVIEW:
            return amounts * 0.0 + self.review_cost
        return amounts * self.margin_rate + self.false_decline_cost

    def realised(self, actions: "np.ndarray", labels: "np.ndarray", amounts: "np.ndarray") -> "np.ndarray":
        """What the actions cost once the labels are known, of shape (n_rows,)."""
        import numpy as np

        cost = np.zeros(len(amounts))
        for action in Action:
            taken = actions == action
            spent = np.where(
                labels[taken] == 1,
                self.cost_if_fraud(action, amounts[taken]),
                self.cost_if_genuine(action, amounts[taken]),
            )
            cost[taken] = spent
        return cost

    def parts(self, actions: "np.ndarray", labels: "np.ndarray", amounts: "np.ndarray") -> "Mapping[str, np.ndarray]":
        """Return what ``realised`` costs, by ``PARTS``: each of shape (n_rows,), together the whole cost."""
        import numpy as np

        cost = self.realised(actions, labels, amounts)
        reviews = np.where(actions == Action.REVIEW, self.review_cost, 0.0)
        # A declined fraud costs nothing, so what declining costs are genuine payments.
        declines = np.where(actions == Action.DECLINE, cost, 0.0)
        return dict(zip(PARTS, (cost - reviews - declines, declines, reviews), strict=True))
