"""Scoring one transaction: the inference id, and answers that are not ours."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.core.errors import EndpointError, FeatureError
from ml_platform.core.settings import Settings
from ml_platform.scoring.transaction import Prediction, Scorer, inference_id, read_prediction

ACCEPTED = re.compile(r"\S[\x20-\x7e]{0,63}")


def test_a_plain_transaction_id_is_the_inference_id() -> None:
    assert inference_id("tx-00000123") == "tx-00000123"


@given(st.text())
def test_any_transaction_id_gives_an_inference_id_that_sagemaker_takes(transaction_id: str) -> None:
    assert ACCEPTED.fullmatch(inference_id(transaction_id))


def test_different_odd_transaction_ids_stay_different() -> None:
    assert inference_id("ü" * 80) != inference_id("ü" * 81)


@pytest.mark.parametrize(
    "body", [b"body", b"{}", b'{"predictions": []}', b'{"predictions": [{"score": null}]}', b"[1]"]
)
def test_an_answer_that_is_not_one_prediction_is_an_error_that_shows_it(body: bytes) -> None:
    with pytest.raises(EndpointError, match="not with one prediction"):
        read_prediction("card-fraud", body)


def test_a_prediction_is_read_with_its_flag() -> None:
    answer = b'{"predictions": [{"score": 0.75, "flagged": true}]}'
    assert read_prediction("card-fraud", answer) == Prediction(score=0.75, flagged=True)


def test_a_value_that_is_not_a_number_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(FeatureError, match="amount"):
        Scorer(Settings(), "card-fraud").score({"amount": float("inf")}, "tx-1")
