"""A model's own training code: one file, ``pipeline.py``, beside its ``defs.yaml``, with one function.

::

    def fit(rows: TrainingRows, hyperparameters: HyperParameters) -> Booster | classifier | Explained

It sees training rows only. Calibration and threshold are fitted afterwards by the platform, on days the code never
saw; a search judges it on folds of its own. The same file runs in a training job, in a notebook and under a debugger.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isinf, isnan
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from ml_platform.core.errors import ArtifactError, ConfigurationError, MLPlatformError
from ml_platform.core.fingerprint import fingerprint_bytes
from ml_platform.modeling.scikit_reasons import Reference

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from ml_platform.modeling.hyperparameters import HyperParameters

FILE: Final = "pipeline.py"
"""Name of the file, in the model's folder and in the container's channel."""

Fit = Callable[["TrainingRows", "HyperParameters"], Any]


@dataclass(frozen=True, slots=True)
class Explained:
    """What training code gives back for a model that can only be explained by comparison with an ordinary row."""

    model: Any
    ordinary: "Sequence[float] | np.ndarray"
    """Each feature's ordinary value, in the order of ``TrainingRows.features``; NaN: it is ordinarily missing."""

    def reference(self, features: tuple[str, ...]) -> Reference:
        """Return the row as an artifact keeps it.

        Raises:
            ArtifactError: When it is no row of these features.
        """
        values = [float(value) for value in self.ordinary]
        if len(values) != len(features) or any(isinf(value) for value in values):
            raise ArtifactError(
                f"The ordinary row has {len(values)} values for {len(features)} features, or an infinite one; give one"
                " finite value, or NaN, for each of rows.features."
            )
        return Reference(method="replacement", values=tuple(None if isnan(value) else value for value in values))


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """What a fit may look at."""

    features: tuple[str, ...]
    matrix: "np.ndarray"
    """Float64 of shape (n_rows, n_features); NaN is missing."""
    labels: "np.ndarray"
    """0 or 1, float64 of shape (n_rows,)."""
    weights: "np.ndarray | None" = None
    """How much each row counts, of shape (n_rows,); None: all the same."""

    def positions(self, *names: str) -> list[int]:
        """Return the columns of these features, as a ``ColumnTransformer`` wants them."""
        unknown = sorted(set(names) - set(self.features))
        if unknown:
            raise ConfigurationError(f"The model has no feature {', '.join(unknown)}; add it to its defs.yaml.")
        return [self.features.index(name) for name in names]


def load_training_code(path: "Path", digest: str | None = None) -> Fit:
    """Return the function ``fit`` of a file.

    Args:
        path: The file.
        digest: SHA-256 that the file must have; None takes the file as it is.

    Raises:
        ConfigurationError: When the file is missing, another one, cannot be run or has no ``fit``.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"The training code {path.name} cannot be read: {error}.") from error
    if digest is not None and fingerprint_bytes(content) != digest:
        raise ConfigurationError(f"{path.name} is not the training code this job was started with: its digest differs.")
    # Not by import: the file may lie anywhere, and a tree of the platform's own must not hide it.
    module = ModuleType("training_code")
    module.__file__ = str(path)
    try:
        exec(compile(content, str(path), "exec"), module.__dict__)  # noqa: S102  # running it is what it is for
    # Somebody else's code may raise anything.
    except Exception as error:
        raise ConfigurationError(f"{path.name} cannot be run: {type(error).__name__}: {error}.") from error
    fit = getattr(module, "fit", None)
    if not callable(fit):
        raise ConfigurationError(f"{path.name} has no function fit(rows, hyperparameters).")
    return fit  # type: ignore[no-any-return]


def run_training_code(fit: Fit, rows: TrainingRows, hyperparameters: "HyperParameters") -> Any:
    """Call training code; whatever goes wrong in it is told with its name and line.

    Raises:
        ArtifactError: When it fails.
    """
    try:
        return fit(rows, hyperparameters)
    except MLPlatformError:
        raise
    # Somebody else's code may raise anything.
    except Exception as error:
        raise ArtifactError(f"Training code failed{_where(error)}: {type(error).__name__}: {error}.") from error


def _where(error: Exception) -> str:
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(FILE) and "training_code" in trace.tb_frame.f_globals["__name__"]:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f" in line {lines[-1]} of {FILE}" if lines else ""
