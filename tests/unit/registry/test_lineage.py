"""What a package says about where it comes from."""

import pytest

from ml_platform.registry.lookup import FINGERPRINT
from ml_platform.registry.model_package import Submission, lineage

SUBMISSION = Submission(
    model="card_fraud",
    artifact_uri="s3://b/model.tar.gz",
    fingerprint="f" * 64,
    training_job="card-fraud-train-0123456789abcdef",
    training_set_fingerprint="d" * 64,
    report_uri="s3://b/report.json",
    metrics={"average_precision": 0.6123456789012345},
)


def test_a_package_names_its_candidate_data_job_and_evidence() -> None:
    properties = lineage(SUBMISSION)
    assert properties[FINGERPRINT] == SUBMISSION.fingerprint
    assert properties["training_set_fingerprint"] == SUBMISSION.training_set_fingerprint
    assert properties["training_job"] == SUBMISSION.training_job
    assert properties["report_uri"] == SUBMISSION.report_uri


def test_a_metric_is_read_back_exactly() -> None:
    assert float(lineage(SUBMISSION)["average_precision"]) == SUBMISSION.metrics["average_precision"]


@pytest.mark.parametrize("address", ["s3://b/" + "x" * 300, "s3://b/report, final (2).json"])
def test_values_sagemaker_would_refuse_are_cut_or_replaced(address: str) -> None:
    value = lineage(SUBMISSION.model_copy(update={"report_uri": address}))["report_uri"]
    assert len(value) <= 256
    assert "," not in value
