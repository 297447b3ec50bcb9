"""The Handbook's run is judged by exact counts, floors and time; every miss is told."""

import pytest

from ml_platform.cli.handbook_reference import BookComparison
from ml_platform.cli.handbook_report import EXPECTED_COUNTS, HandbookResult, failures

BOOK = BookComparison(
    rows=EXPECTED_COUNTS["feature_rows"],
    features=14,
    tie_rows=58,
    differing_rows=29,
    explained_rows=29,
    differences={"card_tx_count_1d": 29},
)
GOOD = HandbookResult(
    rows_quarantined=0,
    roc_auc=0.878,
    average_precision=0.672,
    card_precision_at_100=0.293,
    seconds_by_stage={"ingest": 6.0, "features": 11.0, "training_set": 11.0, "fit_and_score": 600.0},
    fingerprint="f",
    book=BOOK,
    **EXPECTED_COUNTS,
)


def test_a_run_with_exact_counts_and_good_figures_passes() -> None:
    assert failures(GOOD) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"train_frauds": 597}, "train_frauds: 597, expected 598"),
        ({"rows": 1_754_154}, "rows: 1,754,154, expected 1,754,155"),
        ({"roc_auc": 0.8649}, "roc_auc: 0.865, at least 0.865 expected"),
        ({"average_precision": None}, "average_precision: unknown, at least 0.660 expected"),
        ({"seconds_by_stage": {"ingest": 181.0}}, "ingest, features and training set took 181 s, over 180"),
        (
            {"book": BOOK.model_copy(update={"differing_rows": 31})},
            "2 rows differ from the book's features, and not by the order of payments within a second. All rows that "
            "differ: card_tx_count_1d in 29",
        ),
        (
            {"book": BOOK.model_copy(update={"rows": 5})},
            "features of 1,754,155 rows, but the book has 5",
        ),
    ],
    ids=str,
)
def test_each_miss_is_told(change: dict[str, object], told: str) -> None:
    assert failures(GOOD.model_copy(update=change)) == [told]
