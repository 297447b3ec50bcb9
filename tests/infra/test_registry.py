"""Separation of duties, judged on the JSON that would be deployed."""

import json

import pytest

from tests.infra.policies import Statements, allowed_by, listed, policy_of


def statements(environment: str, role: str) -> Statements:
    return policy_of(environment, "registry", role)


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_who_trains_can_propose_and_is_denied_to_approve(environment: str) -> None:
    trainer = statements(environment, "trainer")
    assert trainer["ProposeModels"]["Condition"]["StringEquals"] == {
        "sagemaker:ModelLifeCycle:stage": "Proposal",
        "sagemaker:ModelLifeCycle:stageStatus": "PendingApproval",
    }
    denied = {name: found for name, found in trainer.items() if found["Effect"] == "Deny"}
    assert {name: found["Condition"]["StringEquals"] for name, found in denied.items()} == {
        "WhoTrainsCannotApprove": {"sagemaker:ModelApprovalStatus": "Approved"},
        "WhoTrainsCannotSayProduction": {
            "sagemaker:ModelLifeCycle:stage": "Production",
            "sagemaker:ModelLifeCycle:stageStatus": "Approved",
        },
    }
    for found in denied.values():
        assert found["Action"] == ["sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"]
        # A version is made in its group: denied on one of both alone, it would be allowed by the other.
        assert [json.dumps(resource).split(":")[-1] for resource in found["Resource"]] == [
            'model-package/*"]]}',
            'model-package-group/*"]]}',
        ]


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


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_only_the_reviewer_may_approve(environment: str) -> None:
    """By any policy here: an update is allowed without an approval, or with one that is not ``Approved``."""
    approving = {
        role
        for role, found in allowed_by(environment).items()
        for statement in found
        if "sagemaker:UpdateModelPackage" in listed(statement["Action"])
        and "sagemaker:ModelApprovalStatus" not in statement["Condition"].get("Null", {})
        and statement["Condition"].get("StringEquals", {}).get("sagemaker:ModelApprovalStatus", "Approved")
        == "Approved"
    }
    assert approving == {f"ml-platform-{environment}-reviewer"}
