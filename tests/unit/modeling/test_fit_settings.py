"""Imbalance, decay, monotone and categorical features and missing values do what they are declared to do."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ml_platform.core.errors import ArtifactError, ConfigurationError
from ml_platform.evaluation.folds import prequential_folds
from ml_platform.modeling.hyperparameters import HyperParameters
from ml_platform.modeling.pipeline import FittedPipeline
from ml_platform.modeling.prequential import Trial, inner_folds, measure_fold, split_folds
from ml_platform.modeling.training_code import TrainingRows
from ml_platform.modeling.weights import row_weights
from tests.unit.modeling.payments import FEATURES, hyperparameters, payments

START = datetime(2026, 1, 1, tzinfo=UTC)


def dated(days: int, daily: int = 50) -> pd.DataFrame:
    frame = payments(days * daily, 5)
    return frame.assign(
        event_time=[START + timedelta(days=row // daily) for row in range(len(frame))],
        customer_id=np.arange(len(frame)) % 20,
    )


def scores(**given: object) -> np.ndarray:
    parameters = hyperparameters(**given)
    return FittedPipeline.fit(payments(3000, 1), None, parameters).score(payments(500, 3))


def test_positives_can_count_as_much_as_all_negatives() -> None:
    labels = np.array([0.0] * 8 + [1.0] * 2)
    weights = row_weights(pd.DataFrame(index=range(10)), labels, hyperparameters(positive_weight="balanced"))
    assert weights is not None
    assert weights[labels == 1].sum() == weights[labels == 0].sum() == 8
    assert scores(positive_weight=20.0).mean() > 2 * scores().mean()


def test_without_weights_there_are_none() -> None:
    assert row_weights(pd.DataFrame(index=range(2)), np.array([0.0, 1.0]), hyperparameters()) is None


def test_a_row_counts_half_after_its_half_life() -> None:
    frame = pd.DataFrame({"event_time": [START, START + timedelta(days=10)]})
    weights = row_weights(frame, np.array([0.0, 1.0]), hyperparameters(half_life_days=10))
    assert weights is not None
    assert weights[0] / weights[1] == pytest.approx(0.5)
    assert weights.mean() == pytest.approx(1)


def test_decay_without_times_is_refused() -> None:
    with pytest.raises(ArtifactError, match="half_life_days needs the column 'event_time'"):
        scores(half_life_days=5)


def test_a_monotone_feature_only_raises_the_score() -> None:
    parameters = hyperparameters(monotone={"card_tx_count_1d": 1, "amount": -1})
    pipeline = FittedPipeline.fit(payments(3000, 1), None, parameters)
    rows = np.zeros((50, len(FEATURES)))
    rows[:, FEATURES.index("card_tx_count_1d")] = np.arange(50)
    assert (np.diff(pipeline.score_matrix(rows)) >= 0).all()
    rows = np.zeros((50, len(FEATURES)))
    rows[:, FEATURES.index("amount")] = np.linspace(0, 400, 50)
    # Fraud grows with the amount in these payments: without the constraint the score would.
    assert (np.diff(pipeline.score_matrix(rows)) <= 0).all()


def test_a_categorical_features_codes_have_no_order() -> None:
    rng = np.random.default_rng(0)
    frame = payments(4000, 1).assign(card_tx_count_1d=rng.integers(0, 12, 4000))
    frame["label"] = (frame["card_tx_count_1d"].isin([1, 5, 9]) & (rng.random(4000) < 0.5)).astype("int8")
    stump = {"num_iterations": 30, "num_leaves": 2, "max_bin": 255, "feature_fraction": 1.0}
    found = {
        codes: FittedPipeline.fit(frame, None, hyperparameters(model_parameters=stump, categorical=codes))
        for codes in [(), ("card_tx_count_1d",)]
    }
    rows = np.zeros((12, len(FEATURES)))
    rows[:, FEATURES.index("card_tx_count_1d")] = np.arange(12)
    by_code = found[("card_tx_count_1d",)].score_matrix(rows)
    assert by_code[[1, 5, 9]].min() > 2 * by_code[[0, 2, 6, 10]].max()
    ordered = found[()].score_matrix(rows)
    assert ordered[[1, 5, 9]].min() < 2 * ordered[[0, 2, 6, 10]].max()


def test_a_missing_value_can_be_read_as_zero() -> None:
    pipeline = FittedPipeline.fit(payments(3000, 1), None, hyperparameters(missing="zero"))
    rows = np.array([[np.nan, 0, 0, 0], [0, 0, 0, 0]], dtype="float64")
    first, second = pipeline.score_matrix(rows)
    assert first == second


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"monotone": {"age": 1}}, "name age"),
        ({"categorical": ("age",)}, "name age"),
        ({"monotone": {"amount": 1}, "categorical": ("amount",)}, "cannot be monotone"),
        ({"positive_weight": 0}, "above 0"),
        ({"half_life_days": 0}, "greater than 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(given: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        hyperparameters(**given)


@pytest.mark.parametrize("name", ["monotone_constraints", "categorical_feature", "use_missing"])
def test_what_is_declared_by_name_is_not_set_by_position(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"may not set {name}"):
        scores(model_parameters={name: 1})


def test_every_setting_survives_the_trip_through_sagemakers_strings() -> None:
    given = hyperparameters(
        positive_weight="balanced",
        half_life_days=14.5,
        monotone={"amount": -1},
        categorical=("is_weekend",),
        missing="zero",
        code="c" * 64,
        trial=Trial(folds=2),
        parts={"image": "i"},
    )
    assert HyperParameters.from_sagemaker(given.to_sagemaker()) == given


def test_folds_are_those_of_the_evaluation_harness() -> None:
    """Same days: only that a trial fits on all days there are, and never leaves the training days."""
    ours = inner_folds(date(2026, 1, 1), date(2026, 2, 4), Trial(folds=3, test_days=7, delay_days=7))
    theirs = prequential_folds(date(2026, 1, 29), folds=3, delay_days=7, test_days=7)
    assert [(fold.train_end, fold.test_start, fold.test_end) for fold in ours] == [
        (fold.train_end, fold.test_start, fold.test_end) for fold in theirs
    ]


def test_a_fold_never_fits_on_days_whose_labels_are_not_known() -> None:
    folds = list(split_folds(dated(12), Trial(folds=2, test_days=2, delay_days=3)))
    assert len(folds) == 2
    for train, test in folds:
        assert (test["event_time"].min() - train["event_time"].max()).days == 4
        assert (test["event_time"].max() - test["event_time"].min()).days == 1


def test_too_few_days_for_the_folds_say_how_many_are_needed() -> None:
    with pytest.raises(ArtifactError, match="need 29 training days; there are 12"):
        list(split_folds(dated(12), Trial(folds=3)))


@pytest.mark.parametrize("objective", ["average_precision", "roc_auc", "card_precision_at_100"])
def test_a_perfect_ranking_measures_best(objective: str) -> None:
    test = dated(2)
    perfect = measure_fold(test, "label", test["label"].to_numpy(dtype=float), objective)  # type: ignore[arg-type]
    random = measure_fold(test, "label", np.linspace(0, 1, len(test)), objective)  # type: ignore[arg-type]
    assert perfect > 0
    assert perfect >= random


def test_a_fold_without_frauds_is_no_figure() -> None:
    test = dated(2).assign(label=0)
    with pytest.raises(ArtifactError, match="one class only"):
        measure_fold(test, "label", np.zeros(len(test)), "roc_auc")


def own_logistic(rows: TrainingRows, _: HyperParameters) -> Any:
    """Training code that reads no setting."""
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
    return model.fit(rows.matrix, rows.labels, logisticregression__sample_weight=rows.weights)


def own_forest(rows: TrainingRows, given: HyperParameters) -> Any:
    """Training code that reads what is declared."""
    directions = [given.monotone.get(name, 0) for name in rows.features]
    return RandomForestClassifier(10, min_samples_leaf=20, monotonic_cst=directions, random_state=0).fit(
        np.nan_to_num(rows.matrix), rows.labels
    )


def test_training_code_that_goes_against_what_is_declared_is_refused() -> None:
    frame = payments(2000, 1)
    FittedPipeline.fit(frame, None, hyperparameters(monotone={"amount": 1}), code=own_logistic)
    with pytest.raises(ArtifactError, match="amount is declared to only lower the score"):
        FittedPipeline.fit(frame, None, hyperparameters(monotone={"amount": -1}), code=own_logistic)
    FittedPipeline.fit(frame, None, hyperparameters(monotone={"amount": -1}), code=own_forest)


@pytest.mark.parametrize("setting", [{"positive_weight": "balanced"}, {"half_life_days": 2.0}])
def test_training_code_of_ones_own_is_given_the_weights(setting: dict[str, Any]) -> None:
    frame = payments(2000, 1)
    frame["event_time"] = pd.date_range("2026-01-01", periods=2000, freq="10min", tz="UTC")
    plain, weighted = (
        FittedPipeline.fit(frame, None, hyperparameters(**given), code=own_logistic).score(frame)
        for given in ({}, setting)
    )
    assert not np.allclose(plain, weighted, atol=1e-3)
