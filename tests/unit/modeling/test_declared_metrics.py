"""A model is measured by what it declares; the registry's figures are those of the functions behind it."""

import numpy as np
import pytest

from ml_platform.modeling import metrics
from ml_platform.modeling.declared_metrics import FRAUD_METRICS, METRICS, ModelMetrics, measure, require_known

LABELS = np.array([0, 0, 1, 0, 1, 1, 0, 0])
SCORES = np.array([0.1, 0.2, 0.7, 0.3, 0.4, 0.9, 0.6, 0.05])


def test_only_what_is_declared_is_measured() -> None:
    found = measure(LABELS, SCORES, declared=("roc_auc", "log_loss"))
    assert found.figures == {"roc_auc": metrics.roc_auc(LABELS, SCORES), "log_loss": metrics.log_loss(LABELS, SCORES)}
    assert found.unavailable == {}
    assert found.figure("average_precision") is None


def test_what_needs_cards_is_unknown_without_them() -> None:
    found = measure(LABELS, SCORES, declared=("roc_auc", "card_precision_at_100"))
    assert found.why_unknown("card_precision_at_100") == "the rows carry no card or no day"
    assert list(found.figures) == ["roc_auc"]


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.by_row])
def test_a_metric_that_is_a_mean_of_rows_is_the_mean_of_its_rows(name: str) -> None:
    by_row = METRICS[name].by_row
    assert by_row is not None
    assert by_row(LABELS, SCORES).mean() == pytest.approx(measure(LABELS, SCORES, declared=(name,)).figure(name))


def test_log_loss_is_scikit_learns_and_finite_when_a_sure_score_is_wrong() -> None:
    from sklearn.metrics import log_loss

    assert metrics.log_loss(LABELS, SCORES) == pytest.approx(log_loss(LABELS, SCORES))
    assert np.isfinite(metrics.log_loss([1, 0], [0.0, 1.0]))


def test_recall_is_taken_where_the_allowed_share_of_negatives_is_disturbed() -> None:
    # Of five negatives one scores above a positive.
    assert metrics.recall_at_fpr(LABELS, SCORES, max_fpr=0.2) == 1
    assert metrics.recall_at_fpr(LABELS, SCORES, max_fpr=0.19) == pytest.approx(2 / 3)


def test_figures_keep_their_own_names_in_json_and_documents_of_before_read_as_they_were() -> None:
    found = measure(LABELS, SCORES)
    assert tuple(found.model_extra or ()) == FRAUD_METRICS
    assert ModelMetrics.model_validate_json(found.model_dump_json()) == found
    before = '{"window": null, "rows": 9, "positives": 2, "roc_auc": 0.8, "brier": null, "unavailable": {}}'
    assert ModelMetrics.model_validate_json(before).figures == {"roc_auc": 0.8}


def test_a_name_that_is_no_metric_is_refused_with_those_that_are() -> None:
    require_known("binary_classification", FRAUD_METRICS)
    with pytest.raises(ValueError, match="no metric of binary_classification: shoe_size; there are average_precision"):
        require_known("binary_classification", ("roc_auc", "shoe_size"))
