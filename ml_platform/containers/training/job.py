"""One training job: channels in, artifact out, progress and metrics on standard output."""

import json
import logging
from collections.abc import Callable

import numpy as np
import pandas as pd

from ml_platform.containers.training.channels import read_channel
from ml_platform.containers.training.pipes import Report, report_to_dagster
from ml_platform.core.errors import ArtifactError, ConfigurationError
from ml_platform.modeling import metrics
from ml_platform.modeling.artifact import save_artifact
from ml_platform.modeling.baseline import Baseline
from ml_platform.modeling.contract import TRAIN_CHANNEL, VALIDATION_CHANNEL, ContainerPaths
from ml_platform.modeling.hyperparameters import HyperParameters
from ml_platform.modeling.pipeline import FittedPipeline

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
        _run(paths, before_saving, report)


def _run(paths: ContainerPaths, before_saving: Callable[[], None], report: Report) -> None:
    hyperparameters = read_hyperparameters(paths)
    signature = hyperparameters.signature
    train = read_channel(paths, TRAIN_CHANNEL, signature)
    if train is None:
        raise ArtifactError(f"The job has no channel {TRAIN_CHANNEL!r}; nothing to learn from.")
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
    pipeline = FittedPipeline.fit(train, validation, hyperparameters, _log_progress)
    measured = train if validation is None else validation
    scores = pipeline.score(measured)
    _report_ranking(TRAIN_CHANNEL if validation is None else VALIDATION_CHANNEL, signature.labels(measured), scores)
    report.add("threshold", float(pipeline.threshold))
    baseline = Baseline.measure(signature, measured, scores)
    before_saving()
    save_artifact(pipeline, baseline, hyperparameters.fingerprint, paths.model)
    _log.info("model saved, fingerprint %s", hyperparameters.fingerprint)


def read_hyperparameters(paths: ContainerPaths) -> HyperParameters:
    """Read the job's hyper-parameters.

    Raises:
        ConfigurationError: When the file is missing, malformed, or misses a value.
    """
    try:
        strings = json.loads(paths.hyperparameters.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The job's hyper-parameters cannot be read: {error}.") from error
    if not isinstance(strings, dict):
        raise ConfigurationError("The job's hyper-parameters must be a JSON object of strings.")
    return HyperParameters.from_sagemaker({str(key): str(value) for key, value in strings.items()})


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
