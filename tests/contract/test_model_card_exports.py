"""Export jobs of model cards through unmodified boto3: a PDF in S3, or the reason why there is none."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.sagemaker_requests import unique, wait_for

CONTENT = {"model_overview": {"model_name": "fraud (cards)"}, "evaluation_details": [{"name": "holdout"}]}


@pytest.fixture
def sagemaker(sagemaker_settings: Settings) -> Any:
    return boto3.client("sagemaker")


@pytest.fixture
def card(sagemaker: Any) -> str:
    name = unique("card")
    sagemaker.create_model_card(ModelCardName=name, Content=json.dumps(CONTENT), ModelCardStatus="Draft")
    return name


def export(sagemaker: Any, card: str, where: str, **request: Any) -> dict[str, Any]:
    """Return an export job that has ended."""
    request |= {"ModelCardExportJobName": unique("export"), "OutputConfig": {"S3OutputPath": where}}
    arn = sagemaker.create_model_card_export_job(ModelCardName=card, **request)["ModelCardExportJobArn"]
    assert arn.endswith(f":model-card/{card}/export-job/{request['ModelCardExportJobName']}")
    return wait_for(
        lambda: sagemaker.describe_model_card_export_job(ModelCardExportJobArn=arn),
        lambda job: job["Status"] != "InProgress",
    )


def test_a_card_is_exported_as_a_pdf(sagemaker: Any, card: str, sagemaker_settings: Settings) -> None:
    job = export(sagemaker, card, f"s3://{sagemaker_settings.bucket}/cards/")
    assert (job["Status"], job["ModelCardVersion"]) == ("Completed", 1)
    bucket, _, key = job["ExportArtifacts"]["S3ExportArtifacts"].removeprefix("s3://").partition("/")
    document = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert document.startswith(b"%PDF-1.4")
    assert b"(Model name: fraud \\(cards\\)) Tj" in document
    assert b"(Name: holdout) Tj" in document


def test_an_export_to_nowhere_fails_with_the_reason(sagemaker: Any, card: str) -> None:
    job = export(sagemaker, card, "s3://no-such-bucket-here/cards")
    assert job["Status"] == "Failed"
    assert "no-such-bucket-here" in job["FailureReason"]


def test_exports_are_listed_by_card_version_name_and_status(
    sagemaker: Any, card: str, sagemaker_settings: Settings
) -> None:
    where = f"s3://{sagemaker_settings.bucket}/cards"
    first = export(sagemaker, card, where)
    sagemaker.update_model_card(ModelCardName=card, Content="{}")
    second = export(sagemaker, card, where)
    again = export(sagemaker, card, where, ModelCardVersion=1)

    def listed(**request: Any) -> list[str]:
        page = sagemaker.list_model_card_export_jobs(ModelCardName=card, **request)
        return [job["ModelCardExportJobName"] for job in page["ModelCardExportJobSummaries"]]

    names = [job["ModelCardExportJobName"] for job in (first, second, again)]
    assert listed() == names
    assert listed(ModelCardVersion=1, SortOrder="Descending") == [names[2], names[0]]
    assert listed(ModelCardExportJobNameContains=names[1].upper()) == [names[1]]
    assert listed(ModelCardExportJobNameContains=card[-8:]) == []
    assert listed(StatusEquals="Failed") == []
    assert len(listed(MaxResults=2)) == 2


def test_names_and_cards_must_fit(sagemaker: Any, card: str, sagemaker_settings: Settings) -> None:
    where = {"S3OutputPath": f"s3://{sagemaker_settings.bucket}/cards"}
    job = {"ModelCardExportJobName": unique("export"), "OutputConfig": where}
    sagemaker.create_model_card_export_job(ModelCardName=card, **job)
    with pytest.raises(sagemaker.exceptions.ConflictException):
        sagemaker.create_model_card_export_job(ModelCardName=card, **job)
    for wrong in ({"ModelCardName": "nobody"}, {"ModelCardName": card, "ModelCardVersion": 7}):
        with pytest.raises(sagemaker.exceptions.ResourceNotFound):
            sagemaker.create_model_card_export_job(**job | wrong)
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:model-card/{card}/export-job/none"
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_model_card_export_job(ModelCardExportJobArn=arn)
