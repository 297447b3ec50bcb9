"""Which label holds when several sources speak about one payment: a policy as data, and the time line it settles.

Feast's ``LabelView`` declares such policies too, but nothing applies them to a training set: in 0.67 only its web page
calls ``resolve_conflicts`` (ADR 0013). Labels without a source are all one source's, which comes after the
sources that the policy names.
"""

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core.settings import Settings

if TYPE_CHECKING:
    import polars as pl

SOURCE = "source"
"""Column of a label that says who said so, if a table has it."""


class LabelPolicy(BaseModel):
    """How labels of several sources become one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Literal["priority", "newest"] = Field(
        default="priority",
        description="`priority`: the newest label of the best source that has spoken. `newest`: whoever spoke last.",
    )
    priority: tuple[str, ...] = Field(
        default=("chargeback", "analyst", "customer"),
        description="Best source first. Any other source comes after these, and among those the newest holds.",
    )

    @classmethod
    def from_settings(cls, settings: Settings) -> "LabelPolicy":
        """Return the platform's policy."""
        return cls(rule=settings.label_rule, priority=settings.label_priority)


def settle(labels: "pl.DataFrame", policy: LabelPolicy) -> "pl.DataFrame":
    """Return what was held of each payment from when on: as if one source had said it, corrections included.

    Every label that became known gives a row with the label that held from then on, so that ``as known at`` works on
    the result as on the labels of one source.

    Args:
        labels: ``transaction_id``, ``label``, ``event_time``, ``known_time`` and perhaps ``source``; in any order. All
            labels of a payment up to an instant must be there, or the policy cannot weigh them.
        policy: Whose word counts.
    """
    import polars as pl

    if SOURCE not in labels.columns or policy.rule == "newest":
        return labels.drop(SOURCE, strict=False)
    rank = pl.col(SOURCE).replace_strict(
        list(policy.priority), list(range(len(policy.priority))), default=len(policy.priority), return_dtype=pl.Int64
    )
    # Of two labels learnt in the same instant from one source the fraud holds, as everywhere.
    timeline = labels.with_columns(_rank=rank).sort("transaction_id", "known_time", "label", maintain_order=True)
    spoken = [
        pl.when(pl.col("_rank") == place).then(pl.col("label")).forward_fill().over("transaction_id")
        for place in range(len(policy.priority) + 1)
    ]
    settled = timeline.with_columns(label=pl.coalesce(spoken)).drop("_rank", SOURCE)
    # What several sources say in one instant is known at once: only the last row has weighed all of it.
    return settled.unique(["transaction_id", "known_time"], keep="last", maintain_order=True)
