"""The Fraud Detection Handbook's published rows, reproduced; and how far the platform's model goes beyond them.

``make bench-handbook DATA=path/to/handbook_transactions.parquet``. Folds, delay, dropped cards and metrics are those of
the platform's evaluation harness; the models of the first table are scikit-learn's, as in the book.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.handbook_features import EXTRA_FEATURES, read_payments, with_features
from bench.report import Measure, conclude
from ml_platform.cli.console import progress
from ml_platform.evaluation.folds import METRICS, Fold, FoldResults, evaluate_folds, prequential_folds, split
from ml_platform.features.tables import MODEL_FEATURES
from ml_platform.modeling.hyperparameters import HyperParameters
from ml_platform.modeling.pipeline import FittedPipeline

CHAPTER_3 = prequential_folds(date(2018, 8, 8), folds=1)
TEST = prequential_folds(date(2018, 8, 29), folds=4)
COUNTS = {"train": (67_240, 598), "test": (58_264, 385)}
ACCEPTED = (0.002, 0.002, 0.003)
PRESET_B = {"num_leaves": 15, "num_iterations": 150, "min_data_in_leaf": 20}


@dataclass(frozen=True, slots=True)
class Row:
    """One published row: AUC, average precision, card precision@100."""

    name: str
    folds: list[Fold]
    model: Callable[[], Any]
    published: tuple[float, float, float]


def main() -> int:
    """Read the data, reproduce the rows, test our model, and report."""
    arguments = argparse.ArgumentParser(prog="python -m bench.handbook", description=__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="handbook_transactions.parquet")
    arguments.add_argument("--quick", action="store_true", help="leave the random forests and longest windows out")
    chosen = arguments.parse_args()
    progress("Computing features")
    rows = with_features(read_payments(chosen.data), extra=True)
    measures, notes = _counts(rows)
    for row in _published():
        if chosen.quick and "forest" in row.name:
            continue
        progress(row.name)
        found = evaluate_folds(rows, row.folds, _scikit(row.model))
        measures += [
            Measure(f"{row.name}: {metric} off by", round(abs(found.mean(metric) - value), 3), None, "abs", limit)
            for metric, value, limit in zip(METRICS, row.published, ACCEPTED, strict=True)
        ]
        notes.append(f"{row.name}: {_shown(found)}, published {' / '.join(f'{it:.3f}' for it in row.published)}")
    for name, days, features, parameters, floors in _ours():
        if chosen.quick and days > 7:  # noqa: PLR2004
            continue
        progress(name)
        folds = prequential_folds(date(2018, 8, 29), train_days=days)
        found = evaluate_folds(rows, folds, _lightgbm(features, parameters))
        measures += [
            Measure(f"{name}: {metric} below the floor", floor - found.mean(metric), None, "abs", 0.0)
            for metric, floor in zip(METRICS, floors, strict=True)
        ]
        notes.append(f"{name}: {_shown(found)}, at least {' / '.join(f'{it:.3f}' for it in floors)}")
    return conclude("handbook", measures, notes, {})


def _published() -> list[Row]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    def tree(depth: int | None) -> Callable[[], Any]:
        return lambda: DecisionTreeClassifier(max_depth=depth, random_state=0)

    def forest(depth: int | None) -> Callable[[], Any]:
        return lambda: RandomForestClassifier(n_estimators=100, max_depth=depth, random_state=0, n_jobs=1)

    def logistic() -> Any:
        return LogisticRegression(random_state=0)

    three, five = CHAPTER_3, TEST
    return [
        Row("chapter 3, logistic regression", three, logistic, (0.871, 0.606, 0.291)),
        Row("chapter 3, decision tree depth 2", three, tree(2), (0.763, 0.496, 0.241)),
        Row("chapter 3, decision tree unlimited", three, tree(None), (0.788, 0.309, 0.243)),
        Row("chapter 3, random forest", three, forest(None), (0.867, 0.658, 0.287)),
        Row("chapter 5, decision tree depth 2", five, tree(2), (0.792, 0.542, 0.265)),
        Row("chapter 5, logistic regression", five, logistic, (0.868, 0.623, 0.297)),
        Row("chapter 5, random forest 100/20", five, forest(20), (0.870, 0.678, 0.299)),
    ]


def _ours() -> list[tuple[str, int, tuple[str, ...], dict[str, Any], tuple[float, float, float]]]:
    more = (*MODEL_FEATURES, *EXTRA_FEATURES)
    return [
        ("LightGBM, 15 features, 7 days", 7, MODEL_FEATURES, {}, (0.865, 0.675, 0.300)),
        ("LightGBM, 26 features, 7 days", 7, more, {}, (0.880, 0.725, 0.308)),
        ("LightGBM, 26 features, 28 days", 28, more, PRESET_B, (0.880, 0.725, 0.308)),
        ("LightGBM, 26 features, 63 days", 63, more, PRESET_B, (0.880, 0.725, 0.308)),
    ]


def _counts(rows: pd.DataFrame) -> tuple[list[Measure], list[str]]:
    """Chapter 3's rows and frauds must be the book's to the row."""
    parts = dict(zip(COUNTS, split(rows, CHAPTER_3[0]), strict=True))
    measures = []
    for name, expected in COUNTS.items():
        found = len(parts[name]), int(parts[name]["label"].sum())
        off = sum(abs(ours - theirs) for ours, theirs in zip(found, expected, strict=True))
        measures.append(Measure(f"chapter 3, {name} rows and frauds off by", off, None, "rows", 0.0))
    return measures, []


def _scikit(model: Callable[[], Any]) -> Callable[[pd.DataFrame], Callable[[pd.DataFrame], np.ndarray]]:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def fit(train: pd.DataFrame) -> Callable[[pd.DataFrame], np.ndarray]:
        fitted = make_pipeline(StandardScaler(), model())
        fitted.fit(train[[*MODEL_FEATURES]].to_numpy(), train["label"].to_numpy())
        return lambda test: fitted.predict_proba(test[[*MODEL_FEATURES]].to_numpy())[:, 1]

    return fit


def _lightgbm(
    features: tuple[str, ...], parameters: dict[str, Any]
) -> Callable[[pd.DataFrame], Callable[[pd.DataFrame], np.ndarray]]:
    hyperparameters = HyperParameters(features=features, model_parameters=parameters, seed=0, fingerprint="bench")

    def fit(train: pd.DataFrame) -> Callable[[pd.DataFrame], np.ndarray]:
        return FittedPipeline.fit(train, None, hyperparameters).score

    return fit


def _shown(found: FoldResults) -> str:
    return " / ".join(f"{found.mean(metric):.3f}±{found.std(metric):.3f}" for metric in METRICS)


if __name__ == "__main__":
    raise SystemExit(main())
