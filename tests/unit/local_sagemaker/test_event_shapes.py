"""State-change events have the shapes that AWS documents, odd as they are."""

from typing import Any

import pytest

from ml_platform.local_sagemaker.event_shapes import capitals, changes
from ml_platform.local_sagemaker.event_targets import target_input

ENDPOINT: dict[str, Any] = {
    "EndpointName": "fraud",
    "EndpointArn": "arn:endpoint/fraud",
    "EndpointConfigName": "blue",
    "EndpointStatus": "InService",
    "CreationTime": 1592411992.203,
    "LastModifiedTime": 1592411994.287,
    "Plan": {"config": "blue", "variants": [{"name": "primary", "weight": 1.0, "instances": 2}]},
    "_Private": "never told",
}
JOB = {
    "TrainingJobName": "job",
    "TrainingJobArn": "arn:training-job/job",
    "TrainingJobStatus": "InProgress",
    "SecondaryStatus": "Training",
    "CreationTime": 1583831889.05,
    "SecondaryStatusTransitions": [{"Status": "Starting", "StartTime": 1583831889.05}],
    "_Process": {"pid": 1},
}


def test_job_events_tell_times_as_strings_of_milliseconds() -> None:
    [change] = changes("training-job", None, JOB)
    assert change.detail_type == "SageMaker Training Job State Change"
    assert change.detail == {
        "TrainingJobName": "job",
        "TrainingJobArn": "arn:training-job/job",
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Training",
        "CreationTime": "1583831889050",
        "SecondaryStatusTransitions": [{"Status": "Starting", "StartTime": "1583831889050"}],
        "Tags": {},
    }


def test_a_change_that_is_none_of_state_is_no_event() -> None:
    assert [*changes("training-job", JOB, JOB | {"LastModifiedTime": 1.0})] == []
    assert [*changes("model", None, {"ModelName": "m"})] == []
    assert len([*changes("training-job", JOB, JOB | {"SecondaryStatus": "Uploading"})]) == 1


def test_endpoint_events_tell_numbers_of_milliseconds_and_the_status_in_capitals() -> None:
    [change] = changes("endpoint", None, ENDPOINT)
    assert change.detail["EndpointStatus"] == "IN_SERVICE"
    assert change.detail["CreationTime"] == 1592411992203
    assert change.detail["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert not {"Plan", "_Private"} & change.detail.keys()


def test_a_deployment_under_way_is_told_beside_the_endpoint() -> None:
    pending = {"Plan": ENDPOINT["Plan"] | {"config": "green"}, "StartTime": 1592411994.0}
    updating = ENDPOINT | {"EndpointStatus": "Updating", "Pending": pending}
    told = [*changes("endpoint", ENDPOINT, updating)]
    assert [change.detail_type for change in told] == [
        "SageMaker Endpoint State Change",
        "SageMaker Endpoint Deployment State Change",
    ]
    summary = told[1].detail["PendingDeploymentSummary"]
    assert summary["EndpointConfigName"] == "green"
    assert summary["StartTime"] == 1592411994000
    assert [*changes("endpoint", updating, updating)] == []


def test_model_package_events_tell_times_in_iso_8601() -> None:
    package = {"ModelPackageArn": "arn:p/1", "ModelPackageStatus": "Completed", "CreationTime": 1583831889.05}
    approved = package | {"ModelApprovalStatus": "Approved"}
    [change] = changes("model-package", package, approved)
    assert change.detail_type == "SageMaker Model Package State Change"
    assert change.detail["CreationTime"] == "2020-03-10T09:18:09Z"


def test_a_package_event_names_what_was_updated() -> None:
    package = {"ModelPackageArn": "arn:p/1", "ModelPackageStatus": "Completed", "CreationTime": 1583831889.05}
    stage = {"Stage": "Development", "StageStatus": "Approved"}
    [change] = changes("model-package", package, package | {"ModelLifeCycle": stage, "ApprovalDescription": "x"})
    assert change.detail["UpdatedModelPackageFields"] == ["ApprovalDescription", "ModelLifeCycle"]
    [created] = changes("model-package", None, package)
    assert "UpdatedModelPackageFields" not in created.detail


def test_card_events_tell_the_models_id_and_none_of_the_content() -> None:
    card = {
        "ModelCardName": "fraud",
        "ModelCardArn": "arn:aws:sagemaker:us-east-1:123456789012:model-card/fraud",
        "ModelCardVersion": 2,
        "ModelCardStatus": "Draft",
        "Content": '{"model_overview": {"model_id": "fraud-7", "model_name": "secret"}}',
        "CreationTime": 1583831889.05,
        "CreatedBy": {},
    }
    [change] = changes("model-card", None, card)
    assert change.detail_type == "SageMaker Model Card State Change"
    assert change.detail == {
        "ModelCardName": "fraud",
        "ModelCardVersion": 2,
        "ModelCardStatus": "Draft",
        "CreationTime": "2020-03-10T09:18:09.050Z",
        "CreatedBy": {},
        "SecurityConfig": {},
        "ModelId": "fraud-7",
        "AccountId": "123456789012",
    }


def test_the_end_of_endpoints_and_models_is_told_and_that_of_jobs_is_not() -> None:
    [change] = changes("endpoint", ENDPOINT, None)
    assert (change.detail["EndpointStatus"], change.arn) == ("DELETED", "arn:endpoint/fraud")
    model = {"ModelName": "m", "ModelArn": "arn:model/m"}
    assert [change.detail_type for change in changes("model", model, None)] == ["SageMaker Model State Change"]
    assert [change.arn for change in changes("model", None, model)] == ["arn:model/m"]
    assert [*changes("training-job", JOB, None)] == []


@pytest.mark.parametrize(
    ("kind", "times"),
    [("training-job", "1583831889050"), ("transform-job", "2020-03-10T09:18:09Z"), ("processing-job", 1583831889050)],
)
def test_each_kind_of_job_tells_times_in_its_own_way(kind: str, times: object) -> None:
    title = "".join(part.capitalize() for part in kind.split("-"))
    job = {f"{title}Arn": "arn", f"{title}Status": "InProgress", "CreationTime": 1583831889.05}
    [change] = changes(kind, None, job)
    assert change.detail["CreationTime"] == times


@pytest.mark.parametrize(
    ("kind", "member", "detail_type"),
    [
        ("transform-job", "TransformJob", "SageMaker Transform Job State Change"),
        ("processing-job", "ProcessingJob", "SageMaker Processing Job State Change"),
        (
            "hyper-parameter-tuning-job",
            "HyperParameterTuningJob",
            "SageMaker HyperParameter Tuning Job State Change",
        ),
    ],
)
def test_every_kind_of_job_has_its_event(kind: str, member: str, detail_type: str) -> None:
    [change] = changes(kind, None, {f"{member}Arn": "arn", f"{member}Status": "Completed"})
    assert (change.detail_type, change.arn) == (detail_type, "arn")


def test_statuses_in_capitals() -> None:
    assert [capitals(status) for status in ("RollingBack", "Failed", "UpdateRollbackFailed")] == [
        "ROLLING_BACK",
        "FAILED",
        "UPDATE_ROLLBACK_FAILED",
    ]


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ({}, '{"detail": {"Name": "a\\"b", "Count": 2}, "resources": ["arn"]}'),
        ({"Input": "wake up"}, "wake up"),
        ({"InputPath": "$.detail.Name"}, '"a\\"b"'),
        ({"InputPath": "$.resources[0]"}, '"arn"'),
        ({"InputPath": "$.nowhere[3]"}, "null"),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {"name": "$.detail.Name", "count": "$.detail.Count"},
                    "InputTemplate": '{"said": "<name> <count> <other>", "count": <count>, "name": <name>}',
                }
            },
            '{"said": "a\\"b 2 <other>", "count": 2, "name": "a\\"b"}',
        ),
    ],
)
def test_a_target_is_sent_what_it_asks_for(target: dict[str, Any], sent: str) -> None:
    assert target_input(target, {"detail": {"Name": 'a"b', "Count": 2}, "resources": ["arn"]}) == sent
