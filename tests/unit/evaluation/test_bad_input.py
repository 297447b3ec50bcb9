"""Input that nobody can judge by: from the rows to the verdict, with the reason in it and nothing promoted."""

import contextlib
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from ml_platform.core.verdict import Verdict
from ml_platform.evaluation.comparison import Comparison, compare
from ml_platform.evaluation.report import EvaluationReport, evaluate
from tests.unit.evaluation.builders import CANDIDATE, a_holdout, judged


def verdict_on(holdout: pd.DataFrame, challenger: np.ndarray, champion: np.ndarray) -> Verdict:
    """The gate's, as the evaluator asks for it: rows that allow no comparison have none."""

    def report(scores: np.ndarray, role: Literal["challenger", "champion"], fingerprint: str) -> EvaluationReport:
        return evaluate(
            holdout,
            scores,
            model="card_fraud",
            role=role,
            fingerprint=fingerprint,
            training_set_fingerprint="t" * 64,
            created_at=datetime(2018, 8, 22, tzinfo=UTC),
        )

    comparison: Comparison | None = None
    with contextlib.suppress(ValueError):
        comparison = compare(holdout, challenger, champion, draws=50)
    return judged(report(challenger, "challenger", CANDIDATE), report(champion, "champion", "a" * 64), None, comparison)


def test_a_far_better_challenger_passes_on_the_same_rows() -> None:
    holdout, scores = a_holdout()
    random = np.random.default_rng(1)
    assert not verdict_on(holdout, random.permutation(scores), scores).passed
    assert verdict_on(holdout, scores, random.permutation(scores)).failures == ()


@pytest.mark.parametrize(("label", "positives"), [(0, 0), (1, 2000)])
def test_labels_of_one_class_judge_nobody(label: int, positives: int) -> None:
    holdout, scores = a_holdout()
    failures = verdict_on(holdout.assign(label=label), scores, scores).failures
    reason = f"one class only: {positives} positives in 2000 rows"
    assert f"average precision unavailable: {reason}" in failures
    assert f"ROC AUC unavailable: {reason}" in failures
    assert f"the champion was not compared row by row: {reason}" in failures


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_challenger_whose_scores_are_no_numbers_is_stopped(odd: float) -> None:
    holdout, scores = a_holdout()
    broken = scores.copy()
    broken[7] = odd
    failures = verdict_on(holdout, broken, scores).failures
    for figure in ("average precision", "ROC AUC", "card precision@100", "calibration error"):
        assert f"{figure} unavailable: 1 of 2000 scores are not finite numbers" in failures


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_champion_whose_scores_are_no_numbers_is_not_beaten_by_that(odd: float) -> None:
    holdout, scores = a_holdout()
    broken = scores.copy()
    broken[7] = odd
    failures = verdict_on(holdout, scores, broken).failures
    assert "the champion was not compared row by row: 1 of 2000 scores are not finite numbers" in failures


def test_a_holdout_without_rows_judges_nobody() -> None:
    holdout, scores = a_holdout()
    failures = verdict_on(holdout.iloc[:0], scores[:0], scores[:0]).failures
    assert "average precision unavailable: no rows" in failures
