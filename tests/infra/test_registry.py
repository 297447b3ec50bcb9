"""Separation of duties, judged on the JSON that would be deployed."""

import pytest

from tests.infra.policies import Statements, policy_of


def statements(environment: str, role: str) -> Statements:
    return policy_of(environment, "registry", role)


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
    assert reviewer["WhoApprovesCannotTrain"]["Action"] == [
        "sagemaker:CreateTrainingJob",
        "sagemaker:CreateHyperParameterTuningJob",
    ]
    assert reviewer["DecideAboutModels"]["Condition"]["StringEquals"]["sagemaker:ModelLifeCycle:stage"] == "Production"


@pytest.mark.parametrize("role", ["trainer", "reviewer"])
def test_what_both_may_do_to_a_package_lets_nothing_go_live(role: str) -> None:
    found = statements("prod", role)
    assert found["LinkModels"]["Condition"] == {
        "Null": {"sagemaker:ModelApprovalStatus": "true", "sagemaker:ModelLifeCycle:stage": "true"}
    }
    back = found["TakeApprovalsBack"]["Condition"]["StringEquals"]
    assert back["sagemaker:ModelApprovalStatus"] == "PendingManualApproval"


@pytest.mark.parametrize("role", ["trainer", "reviewer"])
def test_nobody_may_replace_or_delete_an_audit_record(role: str) -> None:
    found = statements("prod", role)
    assert found["NeverDeleteARecord"]["Effect"] == "Deny"
    assert found["NeverReplaceARecord"]["Effect"] == "Deny"
    assert found["NeverReplaceARecord"]["Condition"] == {"Null": {"s3:if-none-match": "true"}}
