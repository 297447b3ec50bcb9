"""Reason codes add up to the score they explain, and name what raised it."""

import numpy as np
import pytest

from ml_platform.modeling.pipeline import FittedPipeline
from ml_platform.modeling.reasons import agreement, contributions, reasons, strongest
from tests.unit.modeling.payments import booster_of, payments

NAMES = ("a", "b", "c")


def test_contributions_add_up_to_the_raw_score(pipeline: FittedPipeline) -> None:
    matrix = pipeline.signature.values(payments(300, 2))
    raw = np.asarray(booster_of(pipeline).predict(matrix, raw_score=True))
    assert np.allclose(contributions(booster_of(pipeline), matrix).sum(axis=1), raw, atol=1e-9)


def test_no_rows_have_no_contributions(pipeline: FittedPipeline) -> None:
    width = len(pipeline.signature.features)
    assert contributions(booster_of(pipeline), np.empty((0, width))).shape == (0, width + 1)


def test_only_what_raised_the_score_is_a_reason_strongest_first() -> None:
    found = reasons(NAMES, np.array([0.2, -0.9, 0.7, -3.0]))
    assert [(reason.feature, reason.contribution) for reason in found] == [("c", 0.7), ("a", 0.2)]


def test_equal_reasons_have_one_order() -> None:
    assert [reason.feature for reason in reasons(("b", "a"), np.array([0.5, 0.5]))] == ["a", "b"]


def test_many_rows_at_once_give_the_reasons_of_each() -> None:
    found = np.random.default_rng(0).normal(size=(50, 4))
    positions, values = strongest(found, 3, most=2)
    for row in range(50):
        one_by_one = reasons(NAMES, found[row], most=2)
        many = [(NAMES[p], v) for p, v in zip(positions[row], values[row], strict=True) if v > 0]
        assert many == [(reason.feature, reason.contribution) for reason in one_by_one]


def test_models_that_give_the_same_reasons_agree_whatever_the_sizes() -> None:
    found = np.random.default_rng(1).normal(size=(40, 3))
    assert agreement(found, 3 * found, most=2) == 1.0
    assert agreement(np.array([[1.0, 0.5, -1]]), np.array([[1.0, -0.5, 0.4]]), most=2) == pytest.approx(1 / 3)
    assert agreement(np.empty((0, 3)), np.empty((0, 3))) == 1.0
