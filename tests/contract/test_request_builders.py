"""AWS would accept what we send: every request is held against botocore's own service model.

botocore's client checks types and required members only; enums, patterns and lengths are refused by AWS, so the
stand-in's checker, which knows them, is asked as well.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml_platform.aws import endpoints
from ml_platform.batch.transform_request import transform_job_request
from ml_platform.core.settings import Settings
from ml_platform.deployment.endpoint_config import deployed_name, endpoint_config_request
from ml_platform.deployment.rollout_plan import RolloutPolicy, alarm_requests, update_endpoint_request
from ml_platform.local_sagemaker.validation import violations
from ml_platform.modeling.hyperparameters import HyperParameters
from ml_platform.registry.model_package import Submission, model_package_request
from ml_platform.training.job_request import METRICS, metric_definition, training_job_request

SERVICE = botocore.session.get_session().get_service_model("sagemaker")
SETTINGS = Settings(home=Path("home"), bucket="ml-platform-test")
PACKAGE = "arn:aws:sagemaker:us-east-1:000000000000:model-package/card-fraud/3"
FINGERPRINT = "0123456789abcdef" * 4
# SageMaker's pattern for the values of a package's properties, which Python's engine cannot compile.
PROPERTY = re.compile(r"[\w .:/=+\-@]{1,256}")

model_names = st.from_regex(r"[a-z][a-z0-9_]{0,60}[a-z0-9]", fullmatch=True)


def problems(operation: str, request: Mapping[str, Any]) -> list[str]:
    """Return everything AWS would say against a request."""
    shape = SERVICE.operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    found = [report.generate_report()] if report.has_errors() else []
    return found + list(violations(shape, request))


def a_submission(**overrides: Any) -> Submission:
    values: dict[str, Any] = {
        "model": "card_fraud",
        "artifact_uri": "s3://ml-platform-test/models/card_fraud/artifacts/job/output/model.tar.gz",
        "fingerprint": FINGERPRINT,
        "training_job": "card-fraud-train-0123456789abcdef",
        "training_set_fingerprint": FINGERPRINT,
        "report_uri": "s3://ml-platform-test/models/card_fraud/reports/1.json",
        "metrics": {"average_precision": 0.6123456789012345, "card_precision@100": 0.31},
    }
    return Submission(**(values | overrides))


def a_training_request(model: str = "card_fraud") -> Mapping[str, Any]:
    parameters = HyperParameters(features=("amount", "is_night"), seed=7, fingerprint=FINGERPRINT)
    return training_job_request(
        SETTINGS,
        model=model,
        fingerprint=FINGERPRINT,
        channels={"train": "s3://ml-platform-test/t/train/", "validation": "s3://ml-platform-test/t/validation/"},
        hyperparameters=parameters.to_sagemaker(),
    )


@given(model=model_names)
@hypothesis_settings(max_examples=25, deadline=None)
def test_requests_are_valid_for_any_model_name(model: str) -> None:
    name = deployed_name(SETTINGS, model=model, version=12, package_arn=PACKAGE)
    transform = transform_job_request(
        SETTINGS,
        model=model,
        sagemaker_model=name,
        fingerprint=FINGERPRINT,
        input_uri="s3://ml-platform-test/rows.csv",
        output_uri="s3://ml-platform-test/out",
    )
    assert not problems("CreateTrainingJob", a_training_request(model))
    assert not problems("CreateModelPackage", model_package_request(SETTINGS, a_submission(model=model)))
    assert not problems("CreateModel", endpoints.packaged_model_request(name, PACKAGE, SETTINGS.role_arn))
    assert not problems(
        "CreateModel", endpoints.plain_model_request(name, SETTINGS.serving_image, "s3://b/m.tar.gz", SETTINGS.role_arn)
    )
    assert not problems("CreateEndpointConfig", endpoint_config_request(SETTINGS, model=model, name=name))
    for policy in (RolloutPolicy(), RolloutPolicy(strategy="all_at_once", instance_count=1)):
        alarms = [request["AlarmName"] for request in alarm_requests(policy, endpoint="card-fraud", config=name)]
        update = update_endpoint_request(policy, endpoint="card-fraud", config=name, alarms=alarms)
        assert not problems("UpdateEndpoint", update)
    assert not problems("CreateTransformJob", transform)


def test_the_check_itself_finds_what_botocores_client_lets_through() -> None:
    wrong = {**a_training_request(), "TrainingJobName": "no_underscores"}
    wrong["ResourceConfig"] = {**wrong["ResourceConfig"], "InstanceType": "ml.m5.gigantic"}
    assert len(problems("CreateTrainingJob", wrong)) == 2


@given(
    metrics=st.dictionaries(st.text(min_size=1, max_size=200), st.floats(), max_size=5), report=st.text(max_size=400)
)
@hypothesis_settings(max_examples=50, deadline=None)
def test_a_packages_properties_fit_whatever_metrics_are_called(metrics: dict[str, float], report: str) -> None:
    request = model_package_request(SETTINGS, a_submission(metrics=metrics, report_uri=f"s3://b/{report}"))
    properties = request["CustomerMetadataProperties"]
    assert all(PROPERTY.fullmatch(value) for value in properties.values())
    assert all(PROPERTY.fullmatch(key) and len(key) <= 128 for key in properties)


@pytest.mark.parametrize("value", ["0.612340", "1.000000", "3e-07", "67240"])
def test_sagemaker_finds_the_metrics_that_the_container_prints(value: str) -> None:
    for name in METRICS:
        found = re.search(metric_definition(name)["Regex"], f"train:rows=1; {name}={value}; done")
        assert found is not None
        assert found[1] == (value if name != "train:rows" else "1")


def test_a_metric_is_not_found_inside_another() -> None:
    assert re.search(metric_definition("train:rows")["Regex"], "pretrain:rows_seen=1;") is None
