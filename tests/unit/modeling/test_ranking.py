"""The numpy metrics are scikit-learn's, ties included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from ml_platform.modeling.ranking import average_precision, precision_recall, roc_auc


@given(
    st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=2, max_size=80).filter(
        lambda rows: len({label for _, label in rows}) == 2
    )
)
def test_metrics_equal_scikit_learns(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([score for score, _ in rows]) / 10
    labels = np.array([float(label) for _, label in rows])
    assert average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    assert roc_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    precision, recall, _ = precision_recall_curve(labels, scores)
    # Theirs is in the other order, and ends with a point at recall 0 that belongs to no score.
    ours = precision_recall(labels, scores)
    assert ours[0] == pytest.approx(precision[-2::-1])
    assert ours[1] == pytest.approx(recall[-2::-1])
