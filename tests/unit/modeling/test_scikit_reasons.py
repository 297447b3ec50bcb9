"""Scikit-learn's models say why, too: exactly where they allow it, in terms of the features that came in."""

import itertools
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

from ml_platform.core.errors import ArtifactError
from ml_platform.modeling.artifact import load_archive, load_artifact, pack_archive, save_artifact
from ml_platform.modeling.baseline import Baseline
from ml_platform.modeling.pipeline import FittedPipeline
from ml_platform.modeling.reasons import contributions_of, reasons
from ml_platform.modeling.scikit_reasons import ScikitReasons
from ml_platform.modeling.training_code import Explained, TrainingRows
from tests.unit.modeling.payments import FEATURES, hyperparameters, payments

TRAIN, VALIDATION = payments(3000, 1), payments(2000, 2)
ROWS = VALIDATION.head(300)


def fitted(model: Any, ordinary: Any = None) -> FittedPipeline:
    """Return what the platform makes of training code that fits this model."""

    def fit(rows: TrainingRows, _: Any) -> Any:
        model.fit(rows.matrix, rows.labels)
        return model if ordinary is None else Explained(model, ordinary)

    return FittedPipeline.fit(TRAIN, VALIDATION, hyperparameters(model_parameters={}), code=fit)


def explained(pipeline: FittedPipeline) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and their contributions, which the test then looks at."""
    matrix = pipeline.signature.values(ROWS)
    found = contributions_of(pipeline, matrix)
    assert found is not None
    assert found.shape == (len(matrix), len(FEATURES) + 1)
    return matrix, found


def columns_apart() -> ColumnTransformer:
    """Features take their own ways: scaled, cut into bins, turned into codes; and in another order than they came."""
    return ColumnTransformer(
        [
            ("codes", OneHotEncoder(handle_unknown="ignore"), [3, 1]),
            ("scaled", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), [0]),
            ("bins", make_pipeline(SimpleImputer(), KBinsDiscretizer(3, strategy="uniform")), [2]),
        ]
    )


LINEAR = {
    "filled and scaled": lambda: make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
    "told what was missing": lambda: make_pipeline(SimpleImputer(add_indicator=True), LogisticRegression(max_iter=900)),
    "clipped": lambda: make_pipeline(SimpleImputer(), MinMaxScaler(clip=True), LogisticRegression()),
    "columns apart": lambda: make_pipeline(columns_apart(), LogisticRegression()),
    "ridge": lambda: make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), RidgeClassifier()),
}
TREES = {
    "forest": lambda: RandomForestClassifier(12, min_samples_leaf=3, random_state=0),
    "forest that balances": lambda: RandomForestClassifier(12, class_weight="balanced", random_state=0),
    "extra trees": lambda: make_pipeline(SimpleImputer(), ExtraTreesClassifier(8, max_depth=6, random_state=0)),
    "tree": lambda: DecisionTreeClassifier(max_depth=4, random_state=0),
    "stump of one leaf": lambda: DecisionTreeClassifier(max_depth=4, min_samples_leaf=2000),
    "forest on columns apart": lambda: make_pipeline(columns_apart(), RandomForestClassifier(8, random_state=0)),
}


@pytest.mark.parametrize("make", [*LINEAR.values(), *TREES.values()], ids=[*LINEAR, *TREES])
def test_contributions_add_up_to_the_raw_score(make: Any) -> None:
    pipeline = fitted(make())
    matrix, found = explained(pipeline)
    assert np.allclose(found.sum(axis=1), pipeline.estimator.raw(matrix), atol=1e-8)


@pytest.mark.parametrize("make", LINEAR.values(), ids=LINEAR)
def test_a_linear_models_reason_is_what_the_feature_alone_does(make: Any) -> None:
    """Another value of one feature moves that feature's contribution, by what it moves the score, and no other."""
    pipeline = fitted(make())
    matrix, found = explained(pipeline)
    changed = matrix.copy()
    changed[:, 2] = 0.9
    after = contributions_of(pipeline, changed)
    assert after is not None
    moved = pipeline.estimator.raw(changed) - pipeline.estimator.raw(matrix)
    assert np.allclose((after - found)[:, 2], moved, atol=1e-9)
    assert np.allclose(np.delete(after - found, 2, axis=1), 0, atol=1e-12)


def test_the_average_training_payment_has_no_reasons() -> None:
    pipeline = fitted(LINEAR["columns apart"]())
    found = contributions_of(pipeline, pipeline.signature.values(TRAIN))
    assert found is not None
    assert np.allclose(found[:, :-1].mean(axis=0), 0, atol=1e-9)


def conditional_expectation(tree: Any, row: np.ndarray, known: frozenset[int], node: int = 0) -> float:
    """What a tree expects of a row of which only some features are known: TreeSHAP's value of a coalition."""
    left, right = int(tree.children_left[node]), int(tree.children_right[node])
    if left == -1:
        value = tree.value[node, 0]
        return float(value[1] / value.sum())
    feature, weight = int(tree.feature[node]), tree.weighted_n_node_samples
    if feature in known:
        value = np.float32(row[feature])
        goes_left = bool(tree.missing_go_to_left[node]) if np.isnan(value) else value <= tree.threshold[node]
        return conditional_expectation(tree, row, known, left if goes_left else right)
    parts = (conditional_expectation(tree, row, known, child) * weight[child] for child in (left, right))
    return float(sum(parts) / weight[node])


@pytest.mark.parametrize("name", ["forest that balances", "tree"])
def test_trees_are_explained_by_shapley_values(name: str) -> None:
    """Against the definition: a feature's value, averaged over every order in which features become known."""
    model = TREES[name]()
    pipeline = fitted(model)
    matrix, found = explained(pipeline)
    trees = [each.tree_ for each in getattr(model, "estimators_", [model])]
    width = len(FEATURES)
    for row, given in zip(matrix[:8], found[:8], strict=True):
        worth = {
            frozenset(known): np.mean([conditional_expectation(tree, row, frozenset(known)) for tree in trees])
            for size in range(width + 1)
            for known in itertools.combinations(range(width), size)
        }
        shapley = np.zeros(width)
        for known, value in worth.items():
            share = (
                factorial(len(known)) * factorial(width - len(known) - 1) / factorial(width)
                if len(known) < width
                else 0
            )
            for feature in set(range(width)) - known:
                shapley[feature] += share * (worth[known | {feature}] - value)
        # Reasons are told in log-odds: all of a row's stretched by the same factor.
        assert np.allclose(given[:-1] * shapley.sum(), shapley * given[:-1].sum(), atol=1e-7)
        assert given[-1] == pytest.approx(np.log(worth[frozenset()] / (1 - worth[frozenset()])), abs=1e-6)


@pytest.mark.parametrize(
    "before",
    [PCA(2), PolynomialFeatures(2), Normalizer(), FunctionTransformer(np.log1p)],
    ids=["mixed by PCA", "multiplied", "divided by the row's others", "by a function that does not tell"],
)
def test_columns_that_are_not_of_one_feature_give_no_reasons(before: Any) -> None:
    rows = SimpleImputer().fit_transform(TRAIN[list(FEATURES)])
    model = make_pipeline(before, StandardScaler(), LogisticRegression()).fit(rows, TRAIN["label"])
    told = ScikitReasons(model, len(FEATURES))
    assert (told.words, told.reference(rows), told.contributions(rows, None)) == ("", None, None)


def test_a_model_without_a_way_to_explain_it_says_so() -> None:
    pipeline = fitted(make_pipeline(SimpleImputer(), GaussianNB()))
    assert contributions_of(pipeline, pipeline.signature.values(ROWS)) is None
    assert pipeline.explained_by == ""


def test_anything_is_explained_against_the_ordinary_row_its_code_declares() -> None:
    ordinary = [20.0, np.nan, 0.0, 2.0]
    pipeline = fitted(make_pipeline(SimpleImputer(), GaussianNB()), ordinary)
    matrix, found = explained(pipeline)
    replaced = matrix.copy()
    replaced[:, 0] = 20.0
    raw = pipeline.estimator.raw
    assert np.allclose(found[:, 0], raw(matrix) - raw(replaced), atol=1e-9)
    assert np.allclose(found.sum(axis=1), raw(matrix), atol=1e-9)
    assert "one feature alone" in pipeline.explained_by


@pytest.mark.parametrize("ordinary", [[1.0, 2.0], [1.0, 2.0, 3.0, np.inf]])
def test_an_ordinary_row_that_is_none_is_refused(ordinary: list[float]) -> None:
    with pytest.raises(ArtifactError, match="ordinary row"):
        fitted(make_pipeline(SimpleImputer(), GaussianNB()), ordinary)


@pytest.mark.parametrize(
    ("model", "ordinary"),
    [(LINEAR["columns apart"](), None), (make_pipeline(SimpleImputer(), GaussianNB()), [20, np.nan, 0, 2])],
    ids=["linear", "replacement"],
)
def test_reasons_are_the_same_when_the_model_was_saved_and_read(model: Any, ordinary: Any, tmp_path: Path) -> None:
    pipeline = fitted(model, ordinary)
    baseline = Baseline.measure(pipeline.signature, VALIDATION, pipeline.score(VALIDATION))
    save_artifact(pipeline, baseline, "f" * 64, tmp_path)
    again = load_artifact(tmp_path).pipeline
    pack_archive(tmp_path, tmp_path / "model.tar.gz")
    (_, found), (_, read) = explained(pipeline), explained(again)
    assert load_archive(tmp_path / "model.tar.gz").pipeline.reference == pipeline.reference
    assert np.array_equal(found, read)
    assert reasons(FEATURES, found[0]) == reasons(FEATURES, read[0])
    (tmp_path / "reference.json").write_text('{"method": "linear", "values": [0, 0, 0, 0]}')
    with pytest.raises(ArtifactError, match=r"reference\.json .* digest differs"):
        load_artifact(tmp_path)
