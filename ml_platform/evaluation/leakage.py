"""Leakage probes: signs that a model learnt what it could not have known.

Pure; the candidate's own fit is handed in, with settings that ``small_fit`` made cheap. Labels are broken on purpose,
and a model that still finds the frauds of the holdout has another way to them: training code that knows more than its
rows, an index that follows the label. And a single feature that ranks nearly perfectly is named, because honest ones
do not (Kaufman et al. 2012, "Leakage in data mining").
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core.verdict import Verdict
from ml_platform.evaluation.folds import Fit
from ml_platform.modeling.hyperparameters import HyperParameters
from ml_platform.modeling.parameters import canonical_name
from ml_platform.modeling.ranking import average_precision

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MAX_ROWS = 10_000
MAX_TREES = 40
"""Enough to find what leaks; a probe need not find what is subtle."""
MAX_FITS = 25
"""Fits of one probe before what they find is called a leak: a leak helps them all, luck does not (ADR 0018)."""
MAX_LIFT = 4.0


class LeakagePolicy(BaseModel):
    """Limits of the probes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_lift_without_labels: float = Field(
        default=MAX_LIFT,
        gt=1,
        description="Lift over chance that all of 25 models fitted on broken labels must exceed to be called a leak; "
        "the first that does not clears the candidate. ADR 0018 has how far luck reaches.",
    )
    max_average_precision_of_one_feature: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="What one feature may reach alone. The best honest one of five simulated worlds, known frauds of "
        "terminals, reached 0.42.",
    )


class LeakageReport(BaseModel):
    """What the probes found."""

    model_config = ConfigDict(frozen=True)

    chance: float = Field(description="Rate of positives in the holdout: what a blind model's average precision is.")
    model: float = Field(description="Average precision of the candidate.")
    shuffled: float = Field(description="Of models fitted on permuted labels; the least.")
    shifted: float = Field(description="Of models fitted on labels moved to other rows in time; the least.")
    features: dict[str, float] = Field(description="Of each feature alone, in its better direction.")
    not_probed: str = Field(default="", description="Why the probes could not be run; their figures are then 0.")

    @classmethod
    def unknown(cls, why: str) -> Self:
        """Return the report of probes that could not be run: it speaks against the candidate."""
        return cls(chance=0, model=0, shuffled=0, shifted=0, features={}, not_probed=why)

    def verdict(self, policy: LeakagePolicy) -> Verdict:
        """Judge the probes; every reason is listed."""
        return Verdict.of(self._failures(policy))

    def _failures(self, policy: LeakagePolicy) -> Iterator[str]:
        if self.not_probed:
            yield f"leakage was not probed: {self.not_probed}"
        limit = policy.max_lift_without_labels * self.chance
        for name, found in (("permuted", self.shuffled), ("shifted", self.shifted)):
            # A tiny holdout's chance level is so near to one that no lift is possible.
            if found > min(limit, 1.0):
                yield (
                    f"leakage: a model fitted on {name} labels reaches average precision {found:.4f}, "
                    f"chance is {self.chance:.4f}"
                )
        for name, found in self.features.items():
            if found > policy.max_average_precision_of_one_feature:
                yield (
                    f"leakage: {name} alone reaches average precision {found:.4f}, the whole model {self.model:.4f}: "
                    "was it known at the event?"
                )


def small_fit(fitted_with: HyperParameters) -> HyperParameters:
    """Return a candidate's settings with fewer trees, and without what its owner knows of the features' directions.

    Constraints find frauds without labels, and rightly so: that is knowledge, no leak.
    """
    parameters = dict(fitted_with.model_parameters)
    sizes = [name for name in parameters if canonical_name(name) == "num_iterations"]
    if fitted_with.code:
        # What scikit-learn calls so is no size: a solver that is stopped early only warns.
        sizes = [name for name in sizes if name != "max_iter"]
    elif not sizes:
        sizes = ["num_iterations"]
    bounded = {name: _at_most(parameters.get(name), MAX_TREES) for name in sizes}
    return fitted_with.model_copy(
        update={
            "model_parameters": parameters | bounded,
            "monotone": {},
            "shuffle_labels": False,
            "trial": None,
        }
    )


def _at_most(given: Any, most: int) -> Any:
    # What is no number is for the fit to refuse.
    return most if given is None else min(given, most) if isinstance(given, int) else given


def probe_leakage(
    train: "pd.DataFrame",
    holdout: "pd.DataFrame",
    scores: "np.ndarray",
    fit: Fit,
    *,
    features: Sequence[str],
    label: str = "label",
    max_lift: float = MAX_LIFT,
    seed: int = 0,
) -> LeakageReport:
    """Run the probes.

    Args:
        train: Training rows in order of time; a sample of at most ``MAX_ROWS`` is fitted on.
        holdout: Holdout rows.
        scores: The candidate's scores of the holdout, of shape (n_rows,).
        fit: Fits as the candidate was, small.
        features: The model's inputs.
        label: Column with 0 or 1; both must occur in both frames.
        max_lift: What a model may reach by luck: after the first that stays below, a probe needs no more.
        seed: Of the sample and the permutation.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    sample = train
    if len(train) > MAX_ROWS:
        sample = train.iloc[np.sort(random.choice(len(train), MAX_ROWS, replace=False))]
    truth = sample[label].to_numpy()
    target = holdout[label].to_numpy()
    enough = max_lift * float(target.mean())

    def least(broken: "Iterable[np.ndarray]") -> float:
        found = 1.0
        for labels in broken:
            found = min(found, average_precision(target, fit(sample.assign(**{label: labels}))(holdout)))
            if found <= enough:
                break
        return found

    return LeakageReport(
        chance=float(target.mean()),
        model=average_precision(target, scores),
        shuffled=least(random.permutation(truth) for _ in range(MAX_FITS)),
        shifted=least(np.roll(truth, len(truth) * turn // (MAX_FITS + 1)) for turn in range(1, MAX_FITS + 1)),
        features={name: _alone(target, holdout[name].to_numpy(dtype=float)) for name in features},
    )


def _alone(labels: "np.ndarray", values: "np.ndarray") -> float:
    import numpy as np

    # Missing values rank between the directions: last in both.
    known = np.isfinite(values)
    up, down = (np.where(known, sign * values, -np.inf) for sign in (1.0, -1.0))
    return max(average_precision(labels, up), average_precision(labels, down))
