"""One training job: channels in, artifact out, progress and metrics on standard output.

A job with a ``trial`` among its hyper-parameters only measures; that is ``trial``.
"""

import json
import logging
from collections.abc import Callable

import numpy as np
import pandas as pd

from ml_platform.containers.training.channels import read_channel, read_code
from ml_platform.containers.training.origin import origin
from ml_platform.containers.training.pipes import Report, report_to_dagster
from ml_platform.containers.training.trial import run_trial
from ml_platform.core.errors import ArtifactError, ConfigurationError
from ml_platform.modeling import metrics
from ml_platform.modeling.artifact import save_artifact
from ml_platform.modeling.baseline import Baseline
from ml_platform.modeling.contract import TRAIN_CHANNEL, VALIDATION_CHANNEL, ContainerPaths
from ml_platform.modeling.hyperparameters import HyperParameters
from ml_platform.modeling.pipeline import FittedPipeline
from ml_platform.modeling.weights import EVENT_TIME

_log = logging.getLogger(__name__)
_PROGRESS_LINES = 10


def run(paths: ContainerPaths, before_saving: Callable[[], None] = lambda: None) -> None:
    """Fit on the channels and save the artifact.

    Args:
        paths: The job's files.
        before_saving: Called once everything is computed and only the writing is left.

    Raises:
        ConfigurationError: When the hyper-parameters cannot be used.
        ArtifactError: When the data cannot make a model.
    """
    with report_to_dagster() as report:
        strings = read_strings(paths)
        hyperparameters = HyperParameters.from_sagemaker(strings)
        train = _read_training_rows(paths, hyperparameters)
        if hyperparameters.trial is None:
            _run(paths, before_saving, report, hyperparameters, strings, train)
        else:
            run_trial(paths, before_saving, hyperparameters, train)


def _run(  # one job's inputs
    paths: ContainerPaths,
    before_saving: Callable[[], None],
    report: Report,
    hyperparameters: HyperParameters,
    strings: dict[str, str],
    train: pd.DataFrame,
) -> None:
    signature = hyperparameters.signature
    validation = read_channel(paths, VALIDATION_CHANNEL, signature)
    if hyperparameters.shuffle_labels:
        _log.info("labels are shuffled: this model must not find anything")
        rng = np.random.default_rng(hyperparameters.seed)
        train = _with_shuffled_labels(train, signature.label, rng)
        validation = None if validation is None else _with_shuffled_labels(validation, signature.label, rng)
    for channel, frame in ((TRAIN_CHANNEL, train), (VALIDATION_CHANNEL, validation)):
        if frame is not None:
            positives = int(frame[signature.label].sum())
            _log.info("%s:rows=%d; %s:positives=%d;", channel, len(frame), channel, positives)
            report.add(f"{channel}_rows", len(frame))
            report.add(f"{channel}_positives", positives)
    code = read_code(paths, hyperparameters.code)
    pipeline = FittedPipeline.fit(train, validation, hyperparameters, _log_progress, code)
    measured = train if validation is None else validation
    scores = pipeline.score(measured)
    _report_ranking(TRAIN_CHANNEL if validation is None else VALIDATION_CHANNEL, signature.labels(measured), scores)
    report.add("threshold", float(pipeline.threshold))
    baseline = Baseline.measure(signature, measured, scores)
    read = {TRAIN_CHANNEL: train, VALIDATION_CHANNEL: validation}
    rows = {name: signature.digest(frame) for name, frame in read.items() if frame is not None}
    before_saving()
    save_artifact(pipeline, baseline, hyperparameters.fingerprint, paths.model, origin(strings, rows))
    _log.info("model saved, fingerprint %s", hyperparameters.fingerprint)


def read_strings(paths: ContainerPaths) -> dict[str, str]:
    """Read the job's hyper-parameters as SageMaker wrote them.

    Raises:
        ConfigurationError: When the file is missing or malformed.
    """
    try:
        strings = json.loads(paths.hyperparameters.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The job's hyper-parameters cannot be read: {error}.") from error
    if not isinstance(strings, dict):
        raise ConfigurationError("The job's hyper-parameters must be a JSON object of strings.")
    return {str(key): str(value) for key, value in strings.items()}


def _read_training_rows(paths: ContainerPaths, hyperparameters: HyperParameters) -> pd.DataFrame:
    wanted = hyperparameters.trial.columns if hyperparameters.trial else ()
    if hyperparameters.half_life_days is not None:
        wanted = (EVENT_TIME, *(name for name in wanted if name != EVENT_TIME))
    more = tuple(name for name in wanted if name not in hyperparameters.features)
    train = read_channel(paths, TRAIN_CHANNEL, hyperparameters.signature, more)
    if train is None:
        raise ArtifactError(f"The job has no channel {TRAIN_CHANNEL!r}; nothing to learn from.")
    return train


def _with_shuffled_labels(frame: pd.DataFrame, label: str, rng: np.random.Generator) -> pd.DataFrame:
    return frame.assign(**{label: rng.permutation(frame[label].to_numpy())})


def _report_ranking(channel: str, labels: np.ndarray, scores: np.ndarray) -> None:
    for metric in (metrics.average_precision, metrics.roc_auc):
        try:
            _log.info("%s:%s=%.6f;", channel, metric.__name__, metric(labels, scores))
        except metrics.UndefinedMetricError as error:
            _log.info("%s has no %s: %s", channel, metric.__name__, error)


def _log_progress(done: int, trees: int) -> None:
    if done % max(trees // _PROGRESS_LINES, 1) == 0 or done == trees:
        _log.info("fitted %d of %d trees", done, trees)
