"""What the graph's role may do, judged on the JSON that would be deployed."""

import json
from typing import Any

import pytest

from tests.infra.policies import policy_of

JOBS = {
    "TrainingJob": "training-job",
    "HyperParameterTuningJob": "hyper-parameter-tuning-job",
    "ProcessingJob": "processing-job",
    "TransformJob": "transform-job",
}


def arn(statement: dict[str, Any]) -> str:
    """The end of a statement's one ARN; what stands before it are the template's account and region."""
    parts = statement["Resource"]["Fn::Join"][1]
    return str(parts[-1])


@pytest.mark.parametrize("environment", ["dev", "prod"])
@pytest.mark.parametrize("call", JOBS)
def test_each_kind_of_job_is_started_seen_and_stopped_and_no_other(environment: str, call: str) -> None:
    allowed = policy_of(environment, "jobs", "jobs")[f"Run{call}s"]
    assert allowed["Action"] == [
        *(f"sagemaker:{verb}{call}" for verb in ("Create", "Describe", "Stop")),
        "sagemaker:AddTags",
    ]
    assert arn(allowed).endswith(f":{JOBS[call]}/*")


def test_the_trials_of_a_search_can_be_listed() -> None:
    allowed = policy_of("prod", "jobs", "jobs")["ListTrials"]
    assert allowed["Action"] == "sagemaker:ListTrainingJobsForHyperParameterTuningJob"


def test_only_the_jobs_role_is_lent_and_only_to_sagemaker() -> None:
    allowed = policy_of("prod", "jobs", "jobs")["LendJobsTheirRole"]
    assert arn(allowed) == ":role/ml-platform-sagemaker"
    assert allowed["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def test_one_stream_and_one_secret_are_read_and_nothing_else_of_either() -> None:
    sources = policy_of("prod", "jobs", "sources")
    assert set(sources) == {"ReadPayments", "ReadTheSourcesPassword"}
    stream, secret = sources["ReadPayments"], sources["ReadTheSourcesPassword"]
    assert stream["Action"] == ["kinesis:ListShards", "kinesis:GetShardIterator", "kinesis:GetRecords"]
    assert arn(stream).endswith(":stream/payments")
    assert secret["Action"] == "secretsmanager:GetSecretValue"
    assert arn(secret).endswith(":secret:ml-platform/source-??????")


@pytest.mark.parametrize("role", ["jobs", "sources"])
def test_nothing_is_allowed_on_everything(role: str) -> None:
    statements = policy_of("prod", "jobs", role).values()
    assert all(statement["Effect"] == "Allow" and statement["Resource"] != "*" for statement in statements)
    assert "sagemaker:*" not in json.dumps(list(statements))
