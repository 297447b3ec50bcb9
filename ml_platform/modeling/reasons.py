"""Reason codes: which features moved one score, and by how much.

For trees TreeSHAP (Lundberg et al. 2020, "From local explanations to global understanding with explainable AI for
trees"), as LightGBM computes it: contributions in log-odds that add up, with a base value, to the raw score. What
scikit-learn's models contribute is ``scikit_reasons``. A reason code names a feature that raised the score; the words
that a person reads come from the feature catalogue, not from here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import lightgbm as lgb
    import numpy as np

    from ml_platform.modeling.pipeline import FittedPipeline

MAX_REASONS = 4
"""Adverse-action notices give up to four (Regulation B, 12 CFR 1002.9, comment 9(b)(2)-1)."""


class Reason(BaseModel):
    """One feature that raised a score."""

    model_config = ConfigDict(frozen=True)

    feature: str
    contribution: float = Field(gt=0, description="How much it raised the log-odds, against the average payment.")


def contributions(booster: "lgb.Booster", matrix: "np.ndarray") -> "np.ndarray":
    """Return each feature's contribution to each raw score.

    Args:
        booster: The model.
        matrix: Array of shape (n_rows, n_features), in the booster's order.

    Returns:
        Array of shape (n_rows, n_features + 1); the last column is the base value, and each row adds up to the raw
        score, in log-odds.
    """
    import numpy as np

    if not len(matrix):
        return np.empty((0, matrix.shape[1] + 1))
    return np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=1))


def contributions_of(pipeline: "FittedPipeline", matrix: "np.ndarray") -> "np.ndarray | None":
    """Return ``contributions`` of a pipeline's rows; None for a kind of model that gives no reasons."""
    return pipeline.estimator.contributions(matrix, pipeline.reference)


def reasons(features: Sequence[str], row: "np.ndarray", *, most: int = MAX_REASONS) -> tuple[Reason, ...]:
    """Return the features that raised one score most, strongest first; fewer when fewer did.

    Args:
        features: Names in the order of the signature.
        row: One row of ``contributions``, base value included or not.
        most: How many at most.
    """
    strongest = sorted(
        ((float(row[index]), name) for index, name in enumerate(features)), key=lambda it: (-it[0], it[1])
    )
    return tuple(Reason(feature=name, contribution=value) for value, name in strongest[:most] if value > 0)


def strongest(found: "np.ndarray", n_features: int, *, most: int = MAX_REASONS) -> "tuple[np.ndarray, np.ndarray]":
    """Return the reasons of many rows at once, as positions of features and their contributions.

    Args:
        found: ``contributions`` of shape (n_rows, n_features + 1).
        n_features: How many columns are features.
        most: Reasons per row.

    Returns:
        Two arrays of shape (n_rows, most), strongest first; a contribution that is not above 0 is no reason.
    """
    import numpy as np

    given = found[:, :n_features]
    top = np.argsort(-given, axis=1, kind="stable")[:, :most]
    return top, np.take_along_axis(given, top, axis=1)


def agreement(first: "np.ndarray", second: "np.ndarray", *, most: int = MAX_REASONS) -> float:
    """Share of the reasons that two models give in common for the same rows: the mean Jaccard index of the top ones.

    Args:
        first: ``contributions`` of one model, base value left out, of shape (n_rows, n_features).
        second: The same of the other, features in the same order.
        most: How many reasons each gives.
    """
    import numpy as np

    if not len(first):
        return 1.0
    sets = []
    for given in (first, second):
        member = np.zeros(given.shape, bool)
        np.put_along_axis(member, strongest(given, given.shape[1], most=most)[0], values=True, axis=1)
        sets.append(member & (given > 0))
    shared, either = (sets[0] & sets[1]).sum(axis=1), (sets[0] | sets[1]).sum(axis=1)
    return float(np.where(either > 0, shared / np.maximum(either, 1), 1.0).mean())
