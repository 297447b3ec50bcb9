"""From a model's declaration to the hyper-parameters of its fit, and where its own training code is."""

from pathlib import Path
from typing import TYPE_CHECKING

from ml_platform.components.settings import ModelSettings
from ml_platform.core.fingerprint import fingerprint_bytes
from ml_platform.modeling.training_code import FILE

if TYPE_CHECKING:
    from ml_platform.features.offline.training_set_spec import TrainingSetManifest
    from ml_platform.modeling.hyperparameters import HyperParameters
    from ml_platform.training.search import SearchResult


def training_code(folder: Path | None) -> Path | None:
    """Return a model's own training code: the file ``pipeline.py`` in its folder, if there is one."""
    path = None if folder is None else folder / FILE
    return path if path is not None and path.is_file() else None


def hyperparameters_of(
    model: ModelSettings,
    training_set: "TrainingSetManifest",
    code: Path | None,
    search: "SearchResult | None" = None,
) -> "HyperParameters":
    """Return how a model is fitted on a training set.

    Args:
        model: What its owner declares.
        training_set: The data.
        code: Its own training code, if it has any.
        search: What a search found; its parameters replace declared ones.

    Raises:
        ConfigurationError: When the search was about other features or other code.
    """
    from ml_platform.modeling.hyperparameters import HyperParameters

    declared = model.training
    digest = "" if code is None else fingerprint_bytes(code.read_bytes())
    given: dict[str, object] = {
        "features": training_set.features,
        "label": training_set.label,
        "model_parameters": dict(declared.model_parameters),
        "seed": declared.seed,
        "positive_weight": declared.positive_weight,
        "half_life_days": declared.half_life_days,
        "monotone": declared.monotone,
        "categorical": tuple(declared.categorical),
        "missing": declared.missing,
        "code": digest,
        "fingerprint": training_set.fingerprint,
    }
    found = {} if search is None else search.parameters_for(training_set.features, digest)
    own = {name: value for name, value in found.items() if name in HyperParameters.model_fields}
    given |= own
    given["model_parameters"] = {
        **declared.model_parameters,
        **{name: value for name, value in found.items() if name not in own},
    }
    return HyperParameters.model_validate(given)
