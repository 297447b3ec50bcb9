"""Classifiers of scikit-learn, in skops' format: a zip of JSON and plain arrays, which runs no code when it is read.

skops loads what it knows to be harmless and names the rest. Of the rest we trust two types: ``numpy.dtype``, and
decision trees, whose arrays scikit-learn follows without looking, so that we look before anything is scored.
skops writes the addresses of objects and the time of day; ``canonical_bytes`` leaves both out.
"""

import io
import json
import zipfile
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self

from ml_platform.core.errors import ArtifactError
from ml_platform.modeling.estimators import FILES, SCIKIT_LEARN
from ml_platform.modeling.scikit_reasons import REPLACEMENT, Reference, ScikitReasons, by_replacement
from ml_platform.modeling.scikit_trees import check_trees

if TYPE_CHECKING:
    import numpy as np

    from ml_platform.modeling.schema import Signature

TRUSTED: Final = ("numpy.dtype", "sklearn.tree._tree.Tree")
"""What we trust beside what skops does."""

_SCHEMA: Final = "schema.json"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_TINY: Final = 1e-15


@dataclass(frozen=True)
class ScikitEstimator:
    """A fitted classifier of scikit-learn, or a pipeline of scikit-learn that ends in one."""

    classifier: Any
    content: bytes
    kind: str = SCIKIT_LEARN
    file: str = FILES[SCIKIT_LEARN]

    def raw(self, matrix: "np.ndarray") -> "np.ndarray":
        """Return the decision function, or the log-odds of the probability where there is none.

        Raises:
            ArtifactError: When scikit-learn cannot score these rows, most often because a value is missing.
        """
        try:
            return self._raw(matrix)
        except ValueError as error:
            reason = str(error).partition("\n")[0]
            raise ArtifactError(
                f"The scikit-learn model cannot score these rows: {reason} Where values may be missing, put a"
                " SimpleImputer first in its pipeline."
            ) from error

    def _raw(self, matrix: "np.ndarray") -> "np.ndarray":
        import numpy as np

        if hasattr(self.classifier, "decision_function"):
            return np.asarray(self.classifier.decision_function(matrix), dtype="float64").ravel()
        # A forest is often sure: log-odds of exactly 0 or 1 are infinite, and no calibration can be fitted to them.
        certain = np.clip(self.classifier.predict_proba(matrix)[:, 1], _TINY, 1 - _TINY)
        return np.asarray(np.log(certain) - np.log1p(-certain), dtype="float64")

    def to_bytes(self) -> bytes:
        """Return the file."""
        return self.content

    @cached_property
    def _reasons(self) -> ScikitReasons:
        return ScikitReasons(self.classifier, self.classifier.n_features_in_)

    def reference(self, matrix: "np.ndarray") -> Reference | None:
        """Return a linear model's average training row."""
        return self._reasons.reference(matrix)

    def contributions(self, matrix: "np.ndarray", reference: Reference | None) -> "np.ndarray | None":
        """Return what each feature contributes to the raw scores; None when there is no way to."""
        if reference is not None and reference.method == "replacement":
            return by_replacement(matrix, reference.row(), self.raw)
        return self._reasons.contributions(matrix, reference)

    def explained_by(self, reference: Reference | None) -> str:
        """Return how contributions come about; empty when there is no way to."""
        return REPLACEMENT if reference is not None and reference.method == "replacement" else self._reasons.words

    @classmethod
    def load(cls, content: bytes, signature: "Signature") -> Self:
        """Read a classifier, once everything in it is known to be harmless.

        Raises:
            ArtifactError: When it is no skops file, holds a type that is not trusted, or is no classifier of 0 and 1
                with these features.
        """
        _audit(content)
        try:
            from skops.io import loads  # type: ignore[import-untyped]

            classifier = loads(content, trusted=list(TRUSTED))
        # A forged file fails wherever skops, or the state setters of numpy and scikit-learn, first look at it: with
        # KeyError, TypeError, AttributeError, zipfile's and json's own errors, and more. All mean the same.
        except Exception as error:
            raise ArtifactError(f"{FILES[SCIKIT_LEARN]} of the model artifact cannot be read: {error}.") from error
        _check_classifier(classifier, signature)
        check_trees(classifier)
        return cls(classifier, content)


def canonical_bytes(fitted: Any) -> bytes:
    """Return a fitted classifier in skops' format: the same fit gives the same bytes.

    Raises:
        ArtifactError: When it holds something that skops cannot write.
    """
    try:
        from skops.io import dumps

        written = dumps(fitted)
    # skops asks somebody else's object for its state, which may raise anything.
    except Exception as error:
        raise ArtifactError(
            f"Training code gave back a {type(fitted).__name__}, which cannot be saved without pickle: {error}. Give"
            " back a LightGBM booster, or a classifier or pipeline of scikit-learn's own classes."
        ) from error
    with zipfile.ZipFile(io.BytesIO(written)) as source:
        files: dict[str, str] = {}
        schema = _without_addresses(json.loads(source.read(_SCHEMA)), files)
        members = {new: source.read(old) for old, new in files.items()}
    members[_SCHEMA] = json.dumps(schema, sort_keys=True, separators=(",", ":")).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as target:
        for name, member in sorted(members.items()):
            target.writestr(zipfile.ZipInfo(name, _EPOCH), member)
    return packed.getvalue()


def _without_addresses(node: Any, files: dict[str, str]) -> Any:
    """Leave out the ids of objects, which only say what is the same object, and name files in order of appearance."""
    if isinstance(node, list):
        return [_without_addresses(item, files) for item in node]
    if not isinstance(node, dict):
        return node
    # A node says its loader; any other dictionary is content, whose keys mean what their author meant.
    is_node = "__loader__" in node
    # In the order of names: that of attributes changes when a model is read and written again.
    kept = {
        key: _without_addresses(value, files)
        for key, value in sorted(node.items())
        if not (is_node and key == "__id__")
    }
    if is_node and isinstance(node.get("file"), str):
        suffix = node["file"].rpartition(".")[2]
        kept["file"] = files.setdefault(node["file"], f"{len(files):05d}.{suffix}")
    return kept


def _audit(content: bytes) -> None:
    """Refuse what is no skops file, could unpack to more than it is, or holds a type that nobody trusts."""
    name = FILES[SCIKIT_LEARN]
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            stored = all(member.compress_type == zipfile.ZIP_STORED for member in packed.infolist())
        from skops.io import get_untrusted_types

        # Ours are stored: what is compressed may unpack to anything.
        unknown = sorted(set(get_untrusted_types(data=content)) - set(TRUSTED)) if stored else []
    # As in ``load``: what a forged file fails with is not for skops to choose.
    except Exception as error:
        raise ArtifactError(f"{name} of the model artifact is not a skops file: {error}.") from error
    if not stored:
        raise ArtifactError(f"{name} of the model artifact holds compressed members, which ours never do.")
    if unknown:
        raise ArtifactError(
            f"The model holds types that are not trusted to be loaded: {', '.join(unknown)}. Use classes of"
            " scikit-learn itself; for boosted trees, LightGBM."
        )


def _check_classifier(classifier: Any, signature: "Signature") -> None:
    classes = getattr(classifier, "classes_", None)
    if classes is None or [float(each) for each in classes] != [0.0, 1.0]:
        raise ArtifactError("The scikit-learn model is not a fitted classifier of 0 and 1.")
    if not hasattr(classifier, "decision_function") and not hasattr(classifier, "predict_proba"):
        raise ArtifactError("The scikit-learn model has neither decision_function nor predict_proba: it cannot rank.")
    width = getattr(classifier, "n_features_in_", None)
    if width != len(signature.features):
        raise ArtifactError(
            f"The scikit-learn model reads {width} features, the signature has {len(signature.features)}."
        )
