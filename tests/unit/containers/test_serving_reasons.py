"""The serving container says why, when it is asked, and what it was asked to record; else it answers as ever."""

import json
from typing import Any

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ml_platform.containers.serving.model import ServedModel
from ml_platform.modeling.artifact import Artifact
from ml_platform.modeling.asked import Asked
from ml_platform.modeling.baseline import Baseline
from ml_platform.modeling.codec import decode_response, encode_csv, encode_instances
from ml_platform.modeling.contract import CSV, JSON, JSON_LINES
from ml_platform.modeling.pipeline import FittedPipeline
from ml_platform.modeling.reasons import contributions, reasons
from ml_platform.modeling.training_code import TrainingRows
from tests.unit.containers.jobs import Server
from tests.unit.modeling.payments import FEATURES, booster_of, hyperparameters, payments

ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
ROWS = payments(40, 21)[list(FEATURES)]


def ask(server: Server, attributes: str, **headers: str) -> tuple[int, bytes, str]:
    told = {"content_type": JSON, ATTRIBUTES: attributes, **headers}
    body = encode_instances(ROWS.to_dict("records"))
    status, content, answered = server.request("POST", "/invocations", body, **told)
    return status, content, str(answered["content-type"])


@pytest.mark.parametrize("most", [1, 4])
@pytest.mark.parametrize("accept", [JSON, JSON_LINES])
def test_each_row_has_the_reasons_of_its_own_score(
    server: Server, pipeline: FittedPipeline, accept: str, most: int
) -> None:
    """Four are all features there are: what lowered the score must not be among its reasons."""
    status, content, form = ask(server, f"trace=1,reasons={most},policy=1a2b", accept=accept)
    assert status == 200
    text = content.decode()
    predictions: list[dict[str, Any]] = (
        json.loads(text)["predictions"] if accept == JSON else [json.loads(line) for line in text.splitlines()]
    )
    found = contributions(booster_of(pipeline), ROWS.to_numpy(dtype="float64"))
    for prediction, row in zip(predictions, found, strict=True):
        expected = reasons(FEATURES, row, most=most)
        assert [reason["feature"] for reason in prediction["reasons"]] == [reason.feature for reason in expected]
        assert [reason["contribution"] for reason in prediction["reasons"]] == pytest.approx(
            [reason.contribution for reason in expected], abs=1e-12
        )
        assert (prediction["fingerprint"], prediction["policy"]) == ("f" * 64, "1a2b")
    assert decode_response(content, form) == pytest.approx(pipeline.score(ROWS), abs=1e-12)


def test_asking_changes_no_score_and_not_asking_adds_nothing(server: Server) -> None:
    plain, asked = (json.loads(ask(server, attributes)[1])["predictions"] for attributes in ("", "reasons=4"))
    assert [one["score"] for one in plain] == [one["score"] for one in asked]
    assert all(set(one) == {"score", "flagged"} for one in plain)


def test_a_policy_alone_is_recorded_without_the_cost_of_reasons(server: Server) -> None:
    predictions = json.loads(ask(server, "policy=p-1")[1])["predictions"]
    assert all(set(one) == {"score", "flagged", "fingerprint", "policy"} for one in predictions)


@pytest.mark.parametrize(
    ("attributes", "headers", "status", "told"),
    [
        ("reasons=lots", {}, 400, "whole number"),
        ("policy=a b", {}, 400, "policy="),
        ("reasons=1", {"accept": CSV}, 406, "reasons are not written as CSV"),
    ],
)
def test_what_cannot_be_given_is_refused_in_words(
    server: Server, attributes: str, headers: dict[str, str], status: int, told: str
) -> None:
    answered, content, _ = ask(server, attributes, **headers)
    assert answered == status
    assert told in json.loads(content)["error"]


def test_a_caller_who_takes_anything_gets_reasons_as_json(server: Server) -> None:
    matrix = np.asarray(ROWS.to_numpy(dtype="float64"))
    status, _, answered = server.request(
        "POST",
        "/invocations",
        encode_csv(matrix),
        content_type=CSV,
        accept="text/csv;q=0.5, */*",
        **{ATTRIBUTES: "reasons=1"},
    )
    assert (status, answered["content-type"]) == (200, JSON)


def test_a_model_of_scikit_learn_gives_its_reasons_too() -> None:
    def fit(rows: TrainingRows, _: Any) -> Any:
        return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(rows.matrix, rows.labels)

    frame = payments(2000, 1)
    linear = FittedPipeline.fit(frame, None, hyperparameters(model_parameters={}), code=fit)
    served = ServedModel(Artifact(linear, Baseline.measure(linear.signature, frame, linear.score(frame)), "f", "d"))
    body = encode_instances([{"amount": 400.0, "terminal_fraud_rate_7d": 0.0, "card_tx_count_1d": 2, "is_weekend": 0}])
    (prediction,) = json.loads(served.answer(body, JSON, JSON, Asked(reasons=4))[0])["predictions"]
    assert prediction["reasons"][0]["feature"] == "amount"
    assert "terminal_fraud_rate_7d" not in [reason["feature"] for reason in prediction["reasons"]]
