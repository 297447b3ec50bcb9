"""The fitted pipeline learns in ``fit`` and only there, and says in words why it cannot."""

import numpy as np
import pandas as pd
import pytest

from ml_platform.core.errors import ArtifactError, ConfigurationError
from ml_platform.modeling.calibration import IDENTITY
from ml_platform.modeling.pipeline import FittedPipeline
from ml_platform.modeling.ranking import roc_auc
from tests.unit.modeling.payments import FEATURES, booster_of, fitted, hyperparameters, payments


def test_scores_are_probabilities_that_find_the_pattern(pipeline: FittedPipeline) -> None:
    unseen = payments(3000, 5)
    scores = pipeline.score(unseen)
    assert scores.shape == (3000,)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert roc_auc(unseen["label"].to_numpy(), scores) > 0.8
    assert scores.mean() == pytest.approx(unseen["label"].mean(), rel=0.25)


def test_column_order_and_extra_columns_do_not_matter(pipeline: FittedPipeline) -> None:
    frame = payments(50, 5)
    assert (pipeline.score(frame) == pipeline.score(frame[[*reversed(FEATURES)]])).all()


def test_a_row_scores_the_same_alone_and_among_others(pipeline: FittedPipeline) -> None:
    frame = payments(200, 6)
    alone = [pipeline.score(frame.iloc[[row]])[0] for row in range(len(frame))]
    assert np.abs(pipeline.score(frame) - alone).max() < 1e-15


def test_rows_without_any_value_are_scored(pipeline: FittedPipeline) -> None:
    scores = pipeline.score_matrix(np.full((3, len(FEATURES)), np.nan))
    assert np.isfinite(scores).all()


def test_no_rows_give_no_scores(pipeline: FittedPipeline) -> None:
    assert pipeline.score(payments(10, 1).head(0)).shape == (0,)


def test_an_array_of_another_width_is_refused(pipeline: FittedPipeline) -> None:
    with pytest.raises(ArtifactError, match="reads 4 features"):
        pipeline.score_matrix(np.zeros((2, 3)))


def test_the_same_inputs_give_the_same_model_to_the_byte(pipeline: FittedPipeline) -> None:
    again = fitted()
    assert booster_of(again).model_to_string() == booster_of(pipeline).model_to_string()
    assert (again.calibration, again.threshold) == (pipeline.calibration, pipeline.threshold)


def test_another_seed_gives_another_model(pipeline: FittedPipeline) -> None:
    assert booster_of(fitted(seed=4)).model_to_string() != booster_of(pipeline).model_to_string()


def test_without_validation_the_score_is_the_boosters_and_the_threshold_one_half() -> None:
    bare = FittedPipeline.fit(payments(4000, 1), None, hyperparameters())
    assert (bare.calibration, bare.threshold) == (IDENTITY, 0.5)
    frame = payments(20, 3)
    direct = booster_of(bare).predict(bare.signature.values(frame))
    assert bare.score(frame) == pytest.approx(direct, abs=1e-15)


def test_a_validation_set_with_one_class_calibrates_nothing() -> None:
    one_class = payments(2000, 2).assign(label=0)
    pipeline = FittedPipeline.fit(payments(4000, 1), one_class, hyperparameters())
    assert (pipeline.calibration, pipeline.threshold) == (IDENTITY, 0.5)


def test_progress_is_told_after_every_tree() -> None:
    seen: list[tuple[int, int]] = []
    FittedPipeline.fit(payments(500, 1), None, hyperparameters(), progress=lambda *state: seen.append(state))
    assert seen == [(tree, 40) for tree in range(1, 41)]


@pytest.mark.parametrize(
    ("train", "reason"),
    [
        (payments(100, 1).head(0), "training data has no rows"),
        (payments(100, 1).assign(label=0), "both 0 and 1"),
        (payments(100, 1).assign(label=np.nan), "must hold 0 or 1"),
        (payments(100, 1).drop(columns="amount"), "does not have: amount"),
        (payments(100, 1).drop(columns="label"), "no label column"),
    ],
    ids=["empty", "one class", "unlabelled", "missing feature", "missing label"],
)
def test_data_that_makes_no_model_is_named(train: pd.DataFrame, reason: str) -> None:
    with pytest.raises(ArtifactError, match=reason):
        FittedPipeline.fit(train, None, hyperparameters())


def test_a_broken_validation_set_fails_before_the_fit() -> None:
    with pytest.raises(ArtifactError, match="validation data has no rows"):
        FittedPipeline.fit(payments(500, 1), payments(5, 1).head(0), hyperparameters())


def test_a_value_lightgbm_refuses_is_an_error_in_words() -> None:
    with pytest.raises(ArtifactError, match="LightGBM cannot fit"):
        FittedPipeline.fit(payments(500, 1), None, hyperparameters(model_parameters={"num_leaves": 1}))


def test_a_parameter_lightgbm_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no parameter num_leafs"):
        FittedPipeline.fit(payments(500, 1), None, hyperparameters(model_parameters={"num_leafs": 8}))
