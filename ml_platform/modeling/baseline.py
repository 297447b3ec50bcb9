"""The baseline: how each feature and the score were distributed when the model was fitted.

Training writes it into the artifact, monitoring holds live traffic against it. Judging the difference is
``monitoring.drift``.

Format of one column: ``edges`` e1 < ... < ek cut the number line into k + 1 bins [-inf, e1), [e1, e2), ...,
[ek, inf], and ``counts`` are the rows in each; ``missing`` counts NaN, which is in no bin. The edges are deciles,
except that a value that fills more than a tenth of the rows (a zero rate, a flag) has a bin of its own.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ml_platform.modeling.schema import SCORE, Signature

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

BINS = 10

LAPLACE = 0.5
"""Added to every count, so that an empty bin does not make the index infinite."""


class Profile(BaseModel):
    """One column's rows, counted in bins."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    edges: tuple[float, ...] = Field(description="Inner bin edges, strictly ascending.")
    counts: tuple[int, ...] = Field(description="Rows per bin; one more than edges.")
    missing: int = Field(ge=0, description="Rows without a value.")

    @model_validator(mode="after")
    def _bins_fit_edges(self) -> Self:
        if len(self.counts) != len(self.edges) + 1:
            raise ValueError(f"{len(self.edges)} edges make {len(self.edges) + 1} bins, not {len(self.counts)}")
        if any(low >= high for low, high in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges must ascend strictly")
        return self

    @property
    def n_rows(self) -> int:
        """All rows, with and without a value."""
        return sum(self.counts) + self.missing

    def decile(self, number: int) -> float | None:
        """Return a decile (1 to 9) of the column it was measured on; None when the bins do not tell.

        Each is the edge where its bin begins. The smallest value has no such edge; its bin ends right behind it when it
        is two deciles or more.
        """
        rows, before = sum(self.counts), 0
        for position, count in enumerate(self.counts):
            before += count
            if before and 10 * before >= number * rows:
                if position:
                    return self.edges[position - 1]
                return math.nextafter(self.edges[0], -math.inf) if 10 * before >= 2 * rows else None
        return None


class Baseline(BaseModel):
    """Profiles of every feature and, under ``"score"``, of the model's output."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_rows: int = Field(ge=1, description="Rows that were measured.")
    columns: dict[str, Profile] = Field(description="Feature name, or 'score', to profile.")

    @property
    def features(self) -> tuple[str, ...]:
        """The profiled features, without the score."""
        return tuple(name for name in self.columns if name != SCORE)

    @property
    def score(self) -> Profile:
        """Profile of the model's output."""
        return self.columns[SCORE]

    @classmethod
    def measure(cls, signature: Signature, frame: "pd.DataFrame", scores: "np.ndarray") -> Self:
        """Measure the features in ``frame`` and their ``scores`` of shape (n_rows,)."""
        matrix = signature.values(frame)
        named = [(name, matrix[:, index]) for index, name in enumerate(signature.features)] + [(SCORE, scores)]
        return cls(
            n_rows=len(matrix), columns={name: profile(values, quantile_edges(values)) for name, values in named}
        )


def quantile_edges(values: "np.ndarray", bins: int = BINS) -> tuple[float, ...]:
    """Return the inner edges that split ``values`` into about ``bins`` equal parts; NaN is left out.

    No value gives no edge. A constant column gets edges on both sides of its constant.
    """
    import numpy as np

    present = np.sort(values[~np.isnan(values)])
    if not present.size:
        return ()
    smallest, largest = present[0], present[-1]
    if smallest == largest:
        return (float(smallest), float(np.nextafter(smallest, np.inf)))
    shares = np.arange(1, bins) / bins
    cuts, repeats = np.unique(np.quantile(present, shares, method="inverted_cdf"), return_counts=True)
    starts = cuts[cuts > smallest]
    # A value that is more than one decile would share its bin with its neighbours: close the bin right behind it.
    ends = np.nextafter(cuts[(repeats > 1) & (cuts < largest)], np.inf)
    return tuple(float(edge) for edge in np.union1d(starts, ends))


def profile(values: "np.ndarray", edges: Sequence[float]) -> Profile:
    """Count ``values`` of shape (n_rows,) in the bins that ``edges`` make."""
    import numpy as np

    present = values[~np.isnan(values)]
    bins = np.searchsorted(np.asarray(edges, dtype="float64"), present, side="right")
    counts = np.bincount(bins, minlength=len(edges) + 1)
    return Profile(
        edges=tuple(edges), counts=tuple(int(count) for count in counts), missing=int(values.size - present.size)
    )


def population_stability_index(reference: Profile, current: Profile) -> tuple[float, float]:
    """Return the index (PSI) of two profiles over the same bins, and its expectation without any shift.

    The expectation is (k - 1)(1/n + 1/m) for k bins and samples of n and m rows. Missing values are a bin of their
    own. Bins that are empty on both sides say nothing and are left out, so that they do not count as degrees of
    freedom.

    Raises:
        ValueError: When the profiles have different bins.
    """
    import numpy as np

    if reference.edges != current.edges:
        raise ValueError("the profiles have different bins: count the current values in the reference's edges")
    before = np.asarray((*reference.counts, reference.missing), dtype="float64")
    now = np.asarray((*current.counts, current.missing), dtype="float64")
    used = before + now > 0
    if not (before.any() and now.any()):
        return 0.0, 0.0
    share_before = (before[used] + LAPLACE) / (before[used] + LAPLACE).sum()
    share_now = (now[used] + LAPLACE) / (now[used] + LAPLACE).sum()
    index = float(((share_now - share_before) * np.log(share_now / share_before)).sum())
    return index, float((used.sum() - 1) * (1 / before.sum() + 1 / now.sum()))
