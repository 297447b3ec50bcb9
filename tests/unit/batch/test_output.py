"""Batch input and output: exact to the last bit, and every row accounted for."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml_platform.batch import output
from ml_platform.core.errors import JobFailedError, SourceDataError


def some_rows(ids: list[str | None], amounts: list[float | None] | None = None) -> pl.DataFrame:
    return pl.DataFrame(
        {"transaction_id": ids, "amount": amounts or [1.0] * len(ids)},
        schema={"transaction_id": pl.String, "amount": pl.Float64},
    )


def scores(**by_id: float) -> pl.DataFrame:
    return pl.DataFrame({"transaction_id": list(by_id), "score": list(by_id.values())})


def test_rows_are_written_in_the_models_order_without_a_header() -> None:
    frame = pl.DataFrame({"is_night": [1, 0], "transaction_id": ["t1", "t2"], "amount": [3.5, None]})
    assert output.to_csv(frame, ["amount", "is_night"]) == b"t1,3.5,1.0\nt2,,0.0\n"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
@hypothesis_settings(max_examples=50, deadline=None)
def test_every_bit_of_a_feature_survives_the_text(amounts: list[float]) -> None:
    frame = some_rows([f"t{number}" for number in range(len(amounts))], list(amounts))
    lines = output.to_csv(frame, ["amount"]).decode().splitlines()
    assert [float(line.split(",")[1]) for line in lines] == amounts


@pytest.mark.parametrize(
    ("ids", "says"),
    [(["a,b"], "do not fit"), (['a"b'], "do not fit"), (["a\nb"], "do not fit"), ([None], "do not fit"),
     ([""], "do not fit"), (["a", "a"], "twice")],
)  # fmt: skip
def test_ids_that_could_be_confused_are_refused_before_a_job_is_paid(ids: list[str | None], says: str) -> None:
    with pytest.raises(SourceDataError, match=says):
        output.to_csv(some_rows(ids), ["amount"])


def test_nothing_to_score_is_an_error_and_not_a_job() -> None:
    with pytest.raises(SourceDataError, match="no rows"):
        output.to_csv(some_rows([]), ["amount"])


def test_a_missing_feature_is_named() -> None:
    with pytest.raises(SourceDataError, match="no column is_night"):
        output.to_csv(some_rows(["t1"]), ["amount", "is_night"])


def test_ids_and_scores_are_read_back() -> None:
    assert output.parse(b"t1,0.25\nt2,1e-05\n").rows() == [("t1", 0.25), ("t2", 1e-05)]


@pytest.mark.parametrize("content", [b"t1\n", b"t1,\n", b"t1,high\n"])
def test_a_line_that_is_no_score_is_an_error_that_shows_it(content: bytes) -> None:
    with pytest.raises(JobFailedError, match="Line 1"):
        output.parse(content)


def test_the_same_rows_in_another_order_reconcile() -> None:
    assert output.reconcile(["t1", "t2"], scores(t2=0.5, t1=0.0)).passed


@pytest.mark.parametrize(
    ("answered", "says"),
    [
        (scores(t1=0.5), "1 rows without a score"),
        (scores(t1=0.5, t2=0.5, t3=0.5), "1 scores of rows nobody sent"),
        (pl.concat([scores(t1=0.5, t2=0.5), scores(t1=0.5)]), "scored more than once"),
        (scores(t1=0.5, t2=1.5), "outside"),
        (scores(t1=0.5, t2=float("nan")), "outside"),
    ],
)
def test_every_difference_between_sent_and_scored_rows_is_a_reason(answered: pl.DataFrame, says: str) -> None:
    verdict = output.reconcile(["t1", "t2"], answered)
    assert any(says in failure for failure in verdict.failures)
