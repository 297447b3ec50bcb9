"""What a fitted pipeline scores with: an estimator of one of the kinds whose files can be read without running code.

Each kind has a module of its own, ``boosters`` and ``scikit``. Calibration, threshold and signature are the pipeline's.
"""

from typing import TYPE_CHECKING, Any, Protocol

from ml_platform.core.errors import ArtifactError

if TYPE_CHECKING:
    import numpy as np

    from ml_platform.modeling.schema import Signature
    from ml_platform.modeling.scikit_reasons import Reference

LIGHTGBM = "lightgbm"
SCIKIT_LEARN = "scikit-learn"


class Estimator(Protocol):
    """A fitted model of one kind."""

    @property
    def kind(self) -> str:
        """Name of the kind, as the artifact's manifest has it."""

    @property
    def file(self) -> str:
        """Name of the file in the artifact."""

    def raw(self, matrix: "np.ndarray") -> "np.ndarray":
        """Return raw scores, in log-odds or anything that ranks like them: float64 of shape (n_rows,)."""

    def to_bytes(self) -> bytes:
        """Return the file's content: the same fit gives the same bytes."""

    def reference(self, matrix: "np.ndarray") -> "Reference | None":
        """Return what scores are explained against, learnt from training rows; None when nothing need be known."""

    def contributions(self, matrix: "np.ndarray", reference: "Reference | None") -> "np.ndarray | None":
        """Return what each feature contributes to the raw scores (see ``reasons``); None when there is no way to."""

    def explained_by(self, reference: "Reference | None") -> str:
        """Return how contributions come about, in words; empty when there is no way to."""


FILES = {LIGHTGBM: "model.txt", SCIKIT_LEARN: "model.skops"}
"""The file of each kind that artifacts may hold."""


def wrap(fitted: Any, signature: "Signature") -> Estimator:
    """Return what training code gave back as an estimator that can be saved, and read again by another process.

    Args:
        fitted: A LightGBM ``Booster``, one of its scikit-learn wrappers, or a fitted classifier of scikit-learn.
        signature: What it must read.

    Raises:
        ArtifactError: When it is none of these, or cannot be saved so that it is safe to load.
    """
    content: bytes
    if booster := _booster_of(fitted):
        kind, content = LIGHTGBM, booster.model_to_string().encode()
    else:
        from ml_platform.modeling.scikit import canonical_bytes

        kind, content = SCIKIT_LEARN, canonical_bytes(fitted)
    # What is scored with from here on is what will be saved, not the library's training state.
    return load_estimator(kind, content, signature)


def load_estimator(kind: str, content: bytes, signature: "Signature") -> Estimator:
    """Return the estimator in an artifact's file.

    Raises:
        ArtifactError: When the kind is unknown, the content is none of it, or not for this signature.
    """
    if file_of(kind) == FILES[LIGHTGBM]:
        from ml_platform.modeling.boosters import BoosterEstimator

        return BoosterEstimator.load(content, signature)
    from ml_platform.modeling.scikit import ScikitEstimator

    return ScikitEstimator.load(content, signature)


def file_of(kind: str) -> str:
    """Return the name of a kind's file.

    Raises:
        ArtifactError: When the kind is unknown.
    """
    if kind not in FILES:
        raise ArtifactError(
            f"The artifact's estimator is of kind {kind!r}; this version of the platform reads {', '.join(FILES)}."
        )
    return FILES[kind]


def _booster_of(fitted: Any) -> Any:
    import lightgbm as lgb

    # LightGBM's scikit-learn wrappers keep theirs under this name.
    inner = getattr(fitted, "booster_", fitted)
    return inner if isinstance(inner, lgb.Booster) else None
