"""Model packages: versions, approval, names in use."""

import pytest
from botocore.exceptions import ClientError

from tests.aws.life import Life, archive

pytestmark = pytest.mark.timeout(600)


def test_versions_wait_for_approval_and_keep_their_group(life: Life) -> None:
    group = life.name("group")
    life.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    url = life.put(f"{group}/model.tar.gz", archive("answer.txt", "1"))
    specification = {
        "Containers": [{"Image": life.target.image, "ModelDataUrl": url}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    first, second = (
        life.sagemaker.create_model_package(
            ModelPackageGroupName=group,
            InferenceSpecification=specification,
            ModelApprovalStatus="PendingManualApproval",
        )["ModelPackageArn"]
        for _ in range(2)
    )
    assert (first.rsplit("/")[-1], second.rsplit("/")[-1]) == ("1", "2")
    life.sagemaker.update_model_package(
        ModelPackageArn=second, ModelApprovalStatus="Approved", ApprovalDescription="by the suite"
    )
    listed = life.sagemaker.list_model_packages(ModelPackageGroupName=group, ModelApprovalStatus="Approved")
    assert [one["ModelPackageVersion"] for one in listed["ModelPackageSummaryList"]] == [2]
    described = life.sagemaker.describe_model_package(ModelPackageName=second)
    assert (described["ModelApprovalStatus"], described["ApprovalDescription"]) == ("Approved", "by the suite")
    # Which code and sentence refuse this is not known for certain; that the group stays is.
    with pytest.raises(ClientError):
        life.sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    described = life.sagemaker.describe_model_package_group(ModelPackageGroupName=group)
    assert described["ModelPackageGroupStatus"] == "Completed"


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("describe_training_job", {"TrainingJobName": "mlp-test-there-is-none"}),
        ("describe_endpoint", {"EndpointName": "mlp-test-there-is-none"}),
        ("describe_model", {"ModelName": "mlp-test-there-is-none"}),
        ("describe_model_package_group", {"ModelPackageGroupName": "mlp-test-there-is-none"}),
    ],
)
def test_unknown_names_are_validation_errors(life: Life, operation: str, arguments: dict[str, str]) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(life.sagemaker, operation)(**arguments)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
