"""Slices: named subsets of a holdout on which a model must hold too, declared as data.

Pure. Judging them is ``gate``; a slice with too few positives is named as unknown, never passed over.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ml_platform.modeling.weighted_ranking import MAX_FPR

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class SliceBy(BaseModel):
    """One way to cut a holdout into slices."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="What people call the cut, e.g. `amount`.")
    column: str = Field(description="Column of the holdout; `event_time` is cut by its hour (UTC).")
    edges: tuple[float, ...] = Field(
        default=(), description="Inner edges of bands [low, high); none: one slice per value."
    )
    unit: Literal["", "hour"] = ""

    @model_validator(mode="after")
    def _edges_rise(self) -> "SliceBy":
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError(f"edges of slice {self.name} must rise: {self.edges}")
        return self

    def cut(self, holdout: "pd.DataFrame") -> "Iterator[tuple[str, np.ndarray]]":
        """Yield each slice's name and its rows as booleans of shape (n_rows,); nothing without the column."""
        import numpy as np
        import pandas as pd

        if self.column not in holdout.columns:
            return
        values = holdout[self.column]
        if self.unit == "hour":
            values = pd.to_datetime(values, utc=True).dt.hour
        if not self.edges:
            for value in sorted(values.dropna().unique()):
                yield f"{self.name} {value}", (values == value).to_numpy()
            return
        numbers = values.to_numpy(dtype=float)
        for low, high in zip((-np.inf, *self.edges), (*self.edges, np.inf), strict=True):
            rows = (numbers >= low) & (numbers < high)
            yield f"{self.name} {_band(low, high)}", rows
        if (missing := np.isnan(numbers)).any():
            yield f"{self.name} missing", missing


PAYMENT_SLICES: Sequence[SliceBy] = (
    SliceBy(name="amount", column="amount", edges=(20, 100, 220)),
    SliceBy(name="hour", column="event_time", edges=(7, 13, 19), unit="hour"),
    SliceBy(name="card payments in 30 days", column="card_tx_count_30d", edges=(20, 60)),
    SliceBy(name="terminal payments in 30 days", column="terminal_tx_count_30d", edges=(10, 30)),
    SliceBy(name="card age in days", column="card_age_days", edges=(30,)),
    SliceBy(name="terminal age in days", column="terminal_age_days", edges=(30,)),
    SliceBy(name="tenant", column="tenant"),
)
"""Cuts of payments; those whose column a holdout lacks are left out of its report."""


def cut_all(
    holdout: "pd.DataFrame", labels: "np.ndarray", slices: Sequence[SliceBy], min_positives: int
) -> "tuple[dict[str, np.ndarray], dict[str, int]]":
    """Return the rows of each slice with positives enough, and how many the others have."""
    judged, small = {}, {}
    for cut in slices:
        for name, rows in cut.cut(holdout):
            positives = int(labels[rows].sum())
            if positives >= min_positives:
                judged[name] = rows
            elif rows.any():
                small[name] = positives
    return judged, small


def flagged_rows(labels: "np.ndarray", scores: "np.ndarray") -> "np.ndarray":
    """Rows above the lowest threshold whose false-positive rate is allowed: all models disturb equally many."""
    import numpy as np

    genuine = np.sort(scores[labels == 0])[::-1]
    allowed = int(MAX_FPR * len(genuine))
    flagged: np.ndarray = scores > genuine[allowed] if allowed < len(genuine) else np.ones(len(scores), bool)
    return flagged


def _band(low: float, high: float) -> str:
    if low == float("-inf"):
        return f"below {high:g}"
    return f"from {low:g}" if high == float("inf") else f"{low:g} to {high:g}"
