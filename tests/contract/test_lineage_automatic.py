"""The lineage that SageMaker writes by itself, asked for through unmodified boto3."""

from pathlib import Path
from typing import Any

import boto3
import pytest

from ml_platform.core.settings import Settings
from tests.contract.hosting_account import Account, register_image
from tests.contract.sagemaker_requests import SERVER_IMAGE, ended_training_job, training_job, unique


@pytest.fixture
def account(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> Account:
    register_image(images_file)
    return Account(stand_in, sagemaker_settings.bucket)


def artifact_of(sagemaker: Any, uri: str) -> dict[str, Any]:
    [found] = sagemaker.list_artifacts(SourceUri=uri)["ArtifactSummaries"]
    return dict(found)


def reached(sagemaker: Any, start: str, direction: str) -> list[tuple[str, str]]:
    answer = sagemaker.query_lineage(StartArns=[start], Direction=direction, IncludeEdges=False)
    return [(vertex["LineageType"], vertex["Type"]) for vertex in answer["Vertices"]]


def test_data_leads_over_a_training_job_and_a_package_to_its_approval(account: Account) -> None:
    sagemaker, name, group = account.sagemaker, unique("traced"), unique("group")
    data = f"s3://{account.bucket}/{unique('data')}"
    boto3.client("s3").put_object(Bucket=account.bucket, Key=f"{data.rpartition('/')[2]}/rows.csv", Body=b"1,2\n")
    channel = {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": data}}}
    sagemaker.create_training_job(**training_job(account.bucket, name, InputDataConfig=[channel]))
    model = ended_training_job(sagemaker, name)["ModelArtifacts"]["S3ModelArtifacts"]
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    specification = {
        "Containers": [{"Image": SERVER_IMAGE, "ModelDataUrl": model}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    package = sagemaker.create_model_package(ModelPackageGroupName=group, InferenceSpecification=specification)
    sagemaker.update_model_package(ModelPackageArn=package["ModelPackageArn"], ModelApprovalStatus="Approved")

    start = artifact_of(sagemaker, data)
    assert start["ArtifactType"] == "DataSet"
    assert reached(sagemaker, start["ArtifactArn"], "Descendants") == [
        ("TrialComponent", "SageMakerTrainingJob"),
        ("Artifact", "Model"),
        ("Artifact", "ModelPackage"),
        ("Context", "ModelGroup"),
    ]
    before = reached(sagemaker, artifact_of(sagemaker, package["ModelPackageArn"])["ArtifactArn"], "Ascendants")
    assert {("Action", "Approval"), ("Artifact", "Image"), ("Artifact", "DataSet")} <= {*before}
    component = sagemaker.describe_trial_component(TrialComponentName=f"{name}-aws-training-job")
    assert component["Status"]["PrimaryStatus"] == "Completed"
    assert component["Source"]["SourceArn"].endswith(f":training-job/{name}")
    assert component["EndTime"] >= component["StartTime"]


def test_an_endpoint_is_traced_to_its_models_and_each_config_is_a_deployment(account: Account) -> None:
    endpoint = account.an_endpoint(account.a_config("blue"))
    arn = account.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointArn"]
    [context] = account.sagemaker.list_contexts(SourceUri=arn)["ContextSummaries"]
    assert (context["ContextType"], context["ContextName"]) == ("Endpoint", f"{endpoint}-aws-endpoint")
    before = reached(account.sagemaker, context["ContextArn"], "Ascendants")
    assert ("Action", "ModelDeployment") in before
    assert ("Artifact", "Image") in before
    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=account.a_config("green"))
    account.settled(endpoint)
    assert reached(account.sagemaker, context["ContextArn"], "Ascendants").count(("Action", "ModelDeployment")) == 2


def test_a_job_that_failed_made_nothing_and_what_it_read_is_known(account: Account) -> None:
    name = unique("traced")
    account.sagemaker.create_training_job(**training_job(account.bucket, name, "fail"))
    ended_training_job(account.sagemaker, name)
    component = account.sagemaker.describe_trial_component(TrialComponentName=f"{name}-aws-training-job")
    assert component["Status"]["PrimaryStatus"] == "Failed"
    assert reached(account.sagemaker, component["TrialComponentArn"], "Descendants") == []
    assert ("Artifact", "Image") in reached(account.sagemaker, component["TrialComponentArn"], "Ascendants")


def test_what_was_never_a_job_has_no_trial_component(account: Account) -> None:
    with pytest.raises(account.sagemaker.exceptions.ClientError, match="does not exist"):
        account.sagemaker.describe_trial_component(TrialComponentName="nobody-aws-training-job")
