"""Slices: named subsets of a holdout on which a model must hold too, declared as data.

Pure. Judging them is ``gate``; a slice with too few positives is named as unknown, and a cut that the rows do not allow
is named with the reason: neither is passed over.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ml_platform.evaluation.bootstrap import draw_cards, drawn_together, ratio_draws
from ml_platform.modeling.weighted_ranking import MAX_FPR

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


DRAWS = 100
"""Enough for the 5 % quantiles that are shown; nothing is judged by them."""


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

    def absent(self, holdout: "pd.DataFrame") -> str | None:
        """Return why this cut has no slices here, or None when it has."""
        if self.column not in holdout.columns:
            return f"the rows have no column {self.column}"
        if holdout[self.column].isna().all():
            return f"no row has a {self.column}"
        whole = next((name for name, rows in self._parts(holdout) if rows.all()), None)
        # What all rows are judged by would be judged twice.
        return f"all rows are {whole}" if whole else None

    def cut(self, holdout: "pd.DataFrame") -> "Iterator[tuple[str, np.ndarray]]":
        """Yield each slice's name and its rows as booleans of shape (n_rows,); nothing when it is absent."""
        if self.absent(holdout) is None:
            yield from self._parts(holdout)

    def _parts(self, holdout: "pd.DataFrame") -> "Iterator[tuple[str, np.ndarray]]":
        import numpy as np
        import pandas as pd

        values = holdout[self.column]
        if self.unit == "hour":
            values = pd.to_datetime(values, utc=True).dt.hour
        missing = values.isna().to_numpy()
        if self.edges:
            numbers = values.to_numpy(dtype=float)
            for low, high in zip((-np.inf, *self.edges), (*self.edges, np.inf), strict=True):
                yield f"{self.name} {_band(low, high)}", (numbers >= low) & (numbers < high)
        else:
            for value in sorted(values.dropna().unique()):
                yield f"{self.name} {value}", (values == value).to_numpy()
        if missing.any():
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
"""Cuts of payments, unless a model declares its own."""


class SliceFigures(BaseModel):
    """One model on one slice, flagging at the same false-positive rate over all rows."""

    model_config = ConfigDict(frozen=True)

    slice: str
    rows: int
    positives: int
    recall: float = Field(description="Share of the slice's positives that are flagged.")
    low: float = Field(description="Lower end of the recall's 90 % interval, by bootstrap of cards.")
    high: float
    false_positive_rate: float | None = Field(description="Share of the slice's genuine rows that are flagged.")


class SliceReport(BaseModel):
    """Every slice of a holdout: measured, too small to measure, or impossible to cut."""

    model_config = ConfigDict(frozen=True)

    measured: tuple[SliceFigures, ...] = ()
    small: dict[str, int] = Field(default={}, description="Slices with too few positives, and how many they have.")
    absent: dict[str, str] = Field(default={}, description="Declared cuts that these rows do not allow, and why.")


def measure_slices(
    holdout: "pd.DataFrame",
    scores: "np.ndarray",
    slices: Sequence[SliceBy],
    *,
    min_positives: int,
    label: str = "label",
    card: str = "customer_id",
    seed: int = 0,
) -> SliceReport:
    """Measure finite scores of shape (n_rows,) on each slice.

    Args:
        holdout: One row per payment, with what the slices cut by.
        scores: In the order of the holdout.
        slices: How to cut.
        min_positives: With fewer, a slice is listed and not measured.
        label: Column with 0 or 1.
        card: Column of what is drawn as a whole; without it, each row is.
        seed: Of the draws.
    """
    import numpy as np
    import pandas as pd

    absent = {cut.name: why for cut in slices if (why := cut.absent(holdout))}
    labels = holdout[label].to_numpy()
    judged, small = cut_all(holdout, labels, slices, min_positives)
    if not judged:
        return SliceReport(small=small, absent=absent)
    units = pd.factorize(drawn_together(holdout, card))[0]
    flagged = flagged_rows(labels, scores)
    frauds = np.stack([rows & (labels == 1) for rows in judged.values()], axis=1).astype(float)
    drawn = draw_cards(int(units.max()) + 1, DRAWS, seed)
    draws = ratio_draws(units, frauds * flagged[:, None], frauds, drawn)
    low, high = np.nanquantile(draws, [0.05, 0.95], axis=0)
    return SliceReport(
        measured=tuple(
            SliceFigures(
                slice=name,
                rows=int(rows.sum()),
                positives=int(labels[rows].sum()),
                recall=float(flagged[rows & (labels == 1)].mean()),
                low=float(low[column]),
                high=float(high[column]),
                false_positive_rate=_share(flagged[rows & (labels == 0)]),
            )
            for column, (name, rows) in enumerate(judged.items())
        ),
        small=small,
        absent=absent,
    )


def _share(flagged: "np.ndarray") -> float | None:
    return float(flagged.mean()) if len(flagged) else None


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
