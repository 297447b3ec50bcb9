"""One trial of a search: fit and test on folds within the training days, print the objective, keep no model.

The running mean is printed after each fold, so that SageMaker can stop a trial that falls behind the others; the last
line is the trial's figure.
"""

import json
import logging
from collections.abc import Callable

import pandas as pd

from ml_platform.containers.training.channels import read_code
from ml_platform.modeling.contract import TRIAL_OBJECTIVE, ContainerPaths
from ml_platform.modeling.hyperparameters import HyperParameters
from ml_platform.modeling.pipeline import FittedPipeline
from ml_platform.modeling.prequential import measure_fold, split_folds

_log = logging.getLogger(__name__)


def run_trial(
    paths: ContainerPaths, before_saving: Callable[[], None], hyperparameters: HyperParameters, train: pd.DataFrame
) -> None:
    """Measure these hyper-parameters.

    Raises:
        ArtifactError: When the training days do not make the folds, or a fold makes no model or no figure.
    """
    trial = hyperparameters.trial
    if trial is None:
        raise ValueError("the hyper-parameters ask for no trial")
    code = read_code(paths, hyperparameters.code)
    figures: list[float] = []
    for number, (fitted_on, tested_on) in enumerate(split_folds(train, trial), 1):
        pipeline = FittedPipeline.fit(fitted_on, None, hyperparameters, code=code)
        scores = pipeline.score(tested_on)
        figures.append(measure_fold(tested_on, hyperparameters.label, scores, trial.objective))
        _log.info("fold %d: fitted on %d rows, tested on %d", number, len(fitted_on), len(tested_on))
        _log.info("trial:fold_%d=%.6f;", number, figures[-1])
        _log.info("%s=%.6f;", TRIAL_OBJECTIVE, sum(figures) / len(figures))
    before_saving()
    paths.output_data.mkdir(parents=True, exist_ok=True)
    report = {"objective": trial.objective, "by_fold": figures, "mean": sum(figures) / len(figures)}
    (paths.output_data / "trial.json").write_text(json.dumps(report), encoding="utf-8")
