"""Probes a candidate for leakage by its own training code; what is probed for is ``evaluation.leakage``."""

from pathlib import Path
from typing import TYPE_CHECKING

from ml_platform.core.errors import ConfigurationError, MLPlatformError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ml_platform.evaluation.leakage import LeakagePolicy, LeakageReport
    from ml_platform.modeling.artifact import Artifact
    from ml_platform.modeling.hyperparameters import HyperParameters
    from ml_platform.modeling.training_code import Fit


def probe_candidate(
    artifact: "Artifact",
    train: "pd.DataFrame",
    holdout: "pd.DataFrame",
    scores: "np.ndarray",
    *,
    policy: "LeakagePolicy",
    code: Path | None = None,
) -> "LeakageReport":
    """Return what the probes found, or why they could not be run, which the gate counts against.

    Args:
        artifact: The candidate, which says what it was fitted with.
        train: Its training rows.
        holdout: The rows that judge.
        scores: Its scores of them.
        policy: What is too good.
        code: The model's own training code, as it is now in its folder. Never a copy in the bucket: who may write
            there must not run code here.
    """
    import numpy as np

    from ml_platform.evaluation.leakage import LeakageReport, probe_leakage, small_fit
    from ml_platform.modeling.pipeline import FittedPipeline

    signature = artifact.pipeline.signature
    if not train[signature.label].nunique() == holdout[signature.label].nunique() == 2:  # noqa: PLR2004  # 0 and 1
        return LeakageReport.unknown("the training rows or the holdout have labels of one class only")
    if not np.isfinite(scores).all():
        return LeakageReport.unknown("scores of the holdout are no numbers")
    try:
        fitted_with = _fitted_with(artifact)
        fit = _own_code(fitted_with, code)
        small = small_fit(fitted_with)
        return probe_leakage(
            train,
            holdout,
            scores,
            lambda rows: FittedPipeline.fit(rows, None, small, code=fit).score,
            features=signature.features,
            label=signature.label,
            max_lift=policy.max_lift_without_labels,
        )
    except MLPlatformError as error:
        return LeakageReport.unknown(str(error))


def _fitted_with(artifact: "Artifact") -> "HyperParameters":
    from ml_platform.modeling.hyperparameters import HyperParameters

    if not artifact.origin.hyperparameters:
        # Fitted by hand, or before artifacts said with what: by the preset.
        signature = artifact.pipeline.signature
        return HyperParameters(features=signature.features, label=signature.label, fingerprint=artifact.fingerprint)
    return HyperParameters.from_sagemaker(artifact.origin.hyperparameters)


def _own_code(fitted_with: "HyperParameters", code: Path | None) -> "Fit | None":
    from ml_platform.modeling.training_code import load_training_code

    if not fitted_with.code:
        return None
    if code is None:
        raise ConfigurationError("the model's folder has no training code any more, and the candidate was fitted by it")
    return load_training_code(code, fitted_with.code)
