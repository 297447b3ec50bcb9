"""The smoke test's comparison: any score that is not the pipeline's is a reason."""

import math

import pytest

from ml_platform.deployment.smoke import compare


def test_scores_within_the_tolerance_pass() -> None:
    assert compare([0.5, 0.25 + 1e-12], [0.5, 0.25], 1e-9).passed


@pytest.mark.parametrize("scores", [[0.5], [0.5, 0.25, 0.1], [0.5, 0.26], [0.5, math.nan], []])
def test_a_missing_superfluous_or_different_score_fails(scores: list[float]) -> None:
    assert not compare(scores, [0.5, 0.25], 1e-9).passed
