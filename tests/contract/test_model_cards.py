"""Model cards through unmodified boto3: versions, status, and content that is no model card."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ParamValidationError

from ml_platform.core.settings import Settings
from tests.contract.sagemaker_requests import unique

FIRST = json.dumps({"model_overview": {"model_name": "fraud"}, "business_details": {"line_of_business": "cards"}})
SECOND = json.dumps({"model_overview": {"model_name": "fraud"}, "intended_uses": {"risk_rating": "High"}})


@pytest.fixture
def sagemaker(sagemaker_settings: Settings) -> Any:
    return boto3.client("sagemaker")


@pytest.fixture
def card(sagemaker: Any) -> str:
    name = unique("card")
    arn = sagemaker.create_model_card(
        ModelCardName=name, Content=FIRST, ModelCardStatus="Draft", Tags=[{"Key": "team", "Value": "risk"}]
    )["ModelCardArn"]
    assert arn == f"arn:aws:sagemaker:us-east-1:000000000000:model-card/{name}"
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "risk"}]
    return name


def test_an_edit_makes_a_version_and_a_status_does_not(sagemaker: Any, card: str) -> None:
    sagemaker.update_model_card(ModelCardName=card, Content=SECOND)
    sagemaker.update_model_card(ModelCardName=card, ModelCardStatus="Approved")
    newest = sagemaker.describe_model_card(ModelCardName=card)
    assert (newest["ModelCardVersion"], newest["ModelCardStatus"]) == (2, "Approved")
    assert newest["Content"] == SECOND
    first = sagemaker.describe_model_card(ModelCardName=newest["ModelCardArn"], ModelCardVersion=1)
    assert (first["Content"], first["ModelCardStatus"]) == (FIRST, "Draft")


def test_versions_are_listed_over_all_pages(sagemaker: Any, card: str) -> None:
    for _ in range(10):
        sagemaker.update_model_card(ModelCardName=card, Content=SECOND)
    pages = sagemaker.get_paginator("list_model_card_versions").paginate(
        ModelCardName=card, SortOrder="Ascending", PaginationConfig={"PageSize": 4}
    )
    found = [version["ModelCardVersion"] for page in pages for version in page["ModelCardVersionSummaryList"]]
    assert found == list(range(1, 12))
    cards = sagemaker.list_model_cards(NameContains=card, ModelCardStatus="Draft")["ModelCardSummaries"]
    assert [each["ModelCardName"] for each in cards] == [card]
    assert sagemaker.list_model_cards(NameContains=card, ModelCardStatus="Archived")["ModelCardSummaries"] == []


def test_metadata_can_be_read_without_the_content(sagemaker: Any, card: str) -> None:
    sagemaker.update_model_card(ModelCardName=card, Content=SECOND)
    shown = sagemaker.describe_model_card(ModelCardName=card, IncludedData="MetadataOnly")["Content"]
    assert json.loads(shown) == {"model_overview": {"model_name": "fraud"}, "intended_uses": {"risk_rating": "High"}}
    first = sagemaker.describe_model_card(ModelCardName=card, ModelCardVersion=1, IncludedData="MetadataOnly")
    assert json.loads(first["Content"]) == {"model_overview": {"model_name": "fraud"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"overview": {}}', "extraneous key"),
        ('{"model_overview": []}', "expected a JSON object"),
        ('{"evaluation_details": {}}', "expected a JSON array"),
        ('{"intended_uses": {"risk_rating": "Awful"}}', "not a valid enum value"),
        ('{"model_overview": {"model_owner": "%s"}}' % ("x" * 100_000), "length less than or equal to 100000"),
    ],
)
def test_content_that_is_no_card_is_refused(sagemaker: Any, card: str, content: str, message: str) -> None:
    with pytest.raises(ClientError, match=message):
        sagemaker.update_model_card(ModelCardName=card, Content=content)
    with pytest.raises(ClientError, match=message):
        sagemaker.create_model_card(ModelCardName=unique("bad"), Content=content, ModelCardStatus="Draft")
    assert sagemaker.describe_model_card(ModelCardName=card)["ModelCardVersion"] == 1


def test_names_states_and_combinations_have_awss_errors(sagemaker: Any, card: str) -> None:
    with pytest.raises(sagemaker.exceptions.ConflictException):
        sagemaker.create_model_card(ModelCardName=card, Content=FIRST, ModelCardStatus="Draft")
    with pytest.raises(ClientError, match="not both"):
        sagemaker.update_model_card(ModelCardName=card, Content=SECOND, ModelCardStatus="Approved")
    with pytest.raises(ClientError, match="enum value set"):
        sagemaker.update_model_card(ModelCardName=card, ModelCardStatus="Lost")
    sagemaker.update_model_card(ModelCardName=card, ModelCardStatus="Archived")
    with pytest.raises(sagemaker.exceptions.ConflictException):
        sagemaker.update_model_card(ModelCardName=card, Content=SECOND)
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.describe_model_card(ModelCardName=card, ModelCardVersion=7)
    with pytest.raises(ParamValidationError):
        sagemaker.create_model_card(ModelCardName=unique("card"))


def test_a_deleted_card_is_gone_with_its_versions(sagemaker: Any, card: str) -> None:
    sagemaker.update_model_card(ModelCardName=card, Content=SECOND)
    sagemaker.delete_model_card(ModelCardName=card)
    for call in (sagemaker.describe_model_card, sagemaker.delete_model_card, sagemaker.list_model_card_versions):
        with pytest.raises(sagemaker.exceptions.ResourceNotFound):
            call(ModelCardName=card)
    sagemaker.create_model_card(ModelCardName=card, Content=FIRST, ModelCardStatus="Draft")
    assert len(sagemaker.list_model_card_versions(ModelCardName=card)["ModelCardVersionSummaryList"]) == 1
