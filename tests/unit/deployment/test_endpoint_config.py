"""Names of deployed models follow from everything that is deployed; every request and answer is captured."""

import pytest

from ml_platform.core.settings import Settings
from ml_platform.deployment.endpoint_config import deployed_name, endpoint_config_request

SETTINGS = Settings()
PACKAGE = "arn:aws:sagemaker:us-east-1:000000000000:model-package/card-fraud/3"


def name(settings: Settings = SETTINGS, version: int = 3, package_arn: str = PACKAGE, count: int = 1) -> str:
    return deployed_name(settings, model="card_fraud", version=version, package_arn=package_arn, instance_count=count)


def test_the_same_deployment_has_the_same_name() -> None:
    assert name() == name()
    assert name().startswith("card-fraud-v3-")


@pytest.mark.parametrize(
    "other",
    [
        name(version=4),
        name(package_arn=PACKAGE.replace("000000000000", "111111111111")),
        name(count=2),
        name(SETTINGS.model_copy(update={"hosting_instance_type": "ml.c5.xlarge"})),
        name(SETTINGS.model_copy(update={"bucket": "another-bucket"})),
        name(SETTINGS.model_copy(update={"role_arn": "arn:aws:iam::111111111111:role/other"})),
    ],
)
def test_whatever_changes_what_is_served_changes_the_name(other: str) -> None:
    assert other != name()


def test_every_request_and_answer_is_captured() -> None:
    capture = endpoint_config_request(SETTINGS, model="card_fraud", name=name())["DataCaptureConfig"]
    assert capture["InitialSamplingPercentage"] == 100
    assert {option["CaptureMode"] for option in capture["CaptureOptions"]} == {"Input", "Output"}
    assert capture["DestinationS3Uri"] == "s3://ml-platform-local/capture/card_fraud"
