"""What reasons cost a served score, and many at once against the library's own call: ``make bench-reasons``.

CPU time of one process: a served row with reasons against the same row without, whole answers, bytes in and bytes out;
the reasons of many rows against LightGBM's bare ``predict(pred_contrib=True)`` on them; and the same for a logistic
regression and a forest of scikit-learn.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd

from bench.report import Measure, conclude
from ml_platform.cli.console import progress
from ml_platform.containers.serving.model import ServedModel
from ml_platform.modeling.artifact import save_artifact
from ml_platform.modeling.asked import Asked
from ml_platform.modeling.baseline import Baseline
from ml_platform.modeling.codec import encode_instances
from ml_platform.modeling.contract import JSON
from ml_platform.modeling.hyperparameters import HyperParameters
from ml_platform.modeling.pipeline import FittedPipeline
from ml_platform.modeling.reasons import contributions, strongest
from ml_platform.modeling.training_code import Fit, TrainingRows

FEATURES = tuple(f"feature_{number:02d}" for number in range(15))
ROWS, SINGLE, BATCH, ROUNDS = 20_000, 300, 2_000, 7
SINGLE_GOAL_MS, BATCH_GOAL = 0.3, 1.2
FOREST = 50


def main() -> int:
    """Measure and report."""
    progress("Fitting a model of 15 features with the platform's own preset")
    frame = _payments(ROWS)
    pipeline = _fitted(frame)
    progress("Asking for single rows, and for many at once")
    plain, reasoned = _single_rows(pipeline, frame)
    matrix = pipeline.signature.values(frame.head(BATCH))
    booster = lgb.Booster(model_str=pipeline.estimator.to_bytes().decode())
    bare, ours = _alternating(
        lambda: booster.predict(matrix, pred_contrib=True, num_threads=1),
        lambda: strongest(contributions(booster, matrix), len(FEATURES)),
    )
    cost = 1000 * (reasoned - plain) / SINGLE
    progress("The same of scikit-learn's models")
    linear = _single_rows(_fitted(frame, _logistic_regression), frame)
    forest = _fitted(frame, _forest)
    of_forest = _alternating(lambda: forest.estimator.contributions(matrix, None), lambda: forest.score_matrix(matrix))
    measures = [
        Measure("reasons of a served row, CPU", cost, None, "ms", SINGLE_GOAL_MS),
        Measure(f"reasons of {BATCH} rows, CPU", ours, bare, "s", BATCH_GOAL),
        Measure("a served row without reasons, CPU", 1000 * plain / SINGLE, None, "ms"),
        Measure("one of many rows, CPU", 1000 * ours / BATCH, None, "ms"),
        Measure(
            "reasons of a row served by logistic regression, CPU",
            1000 * (linear[1] - linear[0]) / SINGLE,
            None,
            "ms",
            SINGLE_GOAL_MS,
        ),
        Measure("one of many rows of a forest, CPU", 1000 * of_forest[0] / BATCH, None, "ms"),
    ]
    notes = [
        f"{booster.num_trees()} trees, {len(FEATURES)} features; least of {ROUNDS} alternating rounds, one thread",
        "the reference is LightGBM's own predict(pred_contrib=True); a model with more or deeper trees costs more",
        f"the forest has {FOREST} trees of depth 6; `shap` explains it in about the same time (ADR 0018)",
    ]
    return conclude("reasons", measures, notes, {"trees": booster.num_trees(), "features": len(FEATURES)})


def _fitted(frame: pd.DataFrame, code: Fit | None = None) -> FittedPipeline:
    return FittedPipeline.fit(frame, frame, HyperParameters(features=FEATURES, fingerprint="b" * 64), code=code)


def _logistic_regression(rows: TrainingRows, _: HyperParameters) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(rows.matrix, rows.labels)


def _forest(rows: TrainingRows, _: HyperParameters) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(FOREST, max_depth=6, random_state=0).fit(rows.matrix, rows.labels)


def _single_rows(pipeline: FittedPipeline, frame: pd.DataFrame) -> tuple[float, float]:
    """Return the CPU seconds of rows that are served one by one, without reasons and with."""
    with tempfile.TemporaryDirectory() as scratch:
        scores = pipeline.score(frame)
        save_artifact(pipeline, Baseline.measure(pipeline.signature, frame, scores), "b" * 64, Path(scratch))
        served = ServedModel.load(Path(scratch))
    bodies = [encode_instances([row]) for row in frame[list(FEATURES)].head(SINGLE).to_dict("records")]
    return _alternating(
        lambda: [served.answer(body, JSON, JSON) for body in bodies],
        lambda: [served.answer(body, JSON, JSON, Asked(reasons=4)) for body in bodies],
    )


def _alternating(first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float]:
    """Return the least CPU seconds of each; in turns, so that what else the machine does meets both."""
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for run, kept in zip((first, second), spent, strict=True):
            before = time.process_time()
            run()
            kept.append(time.process_time() - before)
    return min(spent[0]), min(spent[1])


def _payments(rows: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    values = random.normal(size=(rows, len(FEATURES)))
    odds = -5 + 2 * values[:, 0] + values[:, 1] * values[:, 2]
    labels = (random.random(rows) < 1 / (1 + np.exp(-odds))).astype(int)
    return pd.DataFrame(values, columns=list(FEATURES)).assign(label=labels)


if __name__ == "__main__":
    raise SystemExit(main())
