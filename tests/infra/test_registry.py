"""Separation of duties, judged on the JSON that would be deployed."""

from typing import Any

import pytest

from tests.infra.test_storage import TEMPLATES


def statements(environment: str, role: str) -> dict[str, dict[str, Any]]:
    import json

    (template,) = (TEMPLATES / f"assembly-{environment}").glob("*registry*.template.json")
    policies = [
        found["Properties"]
        for found in json.loads(template.read_text())["Resources"].values()
        if found["Type"] == "AWS::IAM::ManagedPolicy"
    ]
    (policy,) = [found for found in policies if found["ManagedPolicyName"] == f"ml-platform-{environment}-{role}"]
    return {statement["Sid"]: statement for statement in policy["PolicyDocument"]["Statement"]}


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_who_trains_can_propose_and_is_denied_to_approve(environment: str) -> None:
    trainer = statements(environment, "trainer")
    assert trainer["ProposeModels"]["Condition"]["StringEquals"] == {
        "sagemaker:ModelLifeCycle:stage": "Proposal",
        "sagemaker:ModelLifeCycle:stageStatus": "PendingApproval",
    }
    denied = trainer["WhoTrainsCannotApprove"]
    assert denied["Effect"] == "Deny"
    assert denied["Condition"]["StringEquals"] == {"sagemaker:ModelApprovalStatus": "Approved"}
    assert "sagemaker:UpdateModelPackage" in denied["Action"]


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_who_approves_is_denied_to_train(environment: str) -> None:
    reviewer = statements(environment, "reviewer")
    assert reviewer["WhoApprovesCannotTrain"]["Effect"] == "Deny"
    assert reviewer["WhoApprovesCannotTrain"]["Action"] == "sagemaker:CreateTrainingJob"
    assert (
        "Proposal" not in reviewer["DecideAboutModels"]["Condition"]["StringEquals"]["sagemaker:ModelLifeCycle:stage"]
    )


@pytest.mark.parametrize("role", ["trainer", "reviewer"])
def test_nobody_may_replace_or_delete_an_audit_record(role: str) -> None:
    found = statements("prod", role)
    assert found["NeverDeleteARecord"]["Effect"] == "Deny"
    assert found["NeverReplaceARecord"]["Effect"] == "Deny"
    assert found["NeverReplaceARecord"]["Condition"] == {"Null": {"s3:if-none-match": "true"}}
