"""Messages and context of a job: the environment holds them, and only Pipes' own lines are messages."""

import json
from typing import Any

import pytest
from dagster_pipes import encode_param

from ml_platform.aws.job_kinds import KINDS
from ml_platform.core.errors import ConfigurationError
from ml_platform.resources.pipes.messages import (
    CONTEXT_VARIABLE,
    MESSAGES_VARIABLE,
    PipesSageMakerContextInjector,
    check_environment,
    in_the_log,
    pipes_message,
    where_messages_are,
)

CONTEXT: dict[str, Any] = {
    "asset_keys": ["a_model_with_a_name/model_candidate"],
    "code_version_by_asset_key": {"a_model_with_a_name/model_candidate": "v" * 40},
    "provenance_by_asset_key": {"a_model_with_a_name/model_candidate": {"input_data_versions": {"x": "f" * 900}}},
    "partition_key": "2026-01-05|eu-central-1",
    "partition_key_range": {"start": "2026-01-05|eu-central-1", "end": "2026-01-05|eu-central-1"},
    "partition_time_window": None,
    "run_id": "0a1088f2-6dd9-4c51-b838-5a2b3ab6ae69",
    "job_name": "__ASSET_JOB",
    "retry_number": 0,
    "extras": {},
}


def test_a_context_fits_a_training_jobs_environment() -> None:
    with PipesSageMakerContextInjector().inject_context(CONTEXT) as params:  # type: ignore[arg-type]
        value = encode_param(params)
    check_environment(KINDS["training"], {CONTEXT_VARIABLE: value})
    with pytest.raises(ConfigurationError, match=r"processing job has .* SageMaker allows 256\. Hand the context over"):
        check_environment(KINDS["processing"], {CONTEXT_VARIABLE: value})


def test_values_up_to_the_limit_pass() -> None:
    for kind in KINDS.values():
        check_environment(kind, {"A": "x" * kind.max_environment_value})
        with pytest.raises(ConfigurationError, match="Shorten it"):
            check_environment(kind, {"A": "x" * (kind.max_environment_value + 1)})


def test_too_many_values_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="at most 16 environment variables, this one has 17"):
        check_environment(KINDS["transform"], {f"A{number}": "" for number in range(17)})


@pytest.mark.parametrize(
    "line",
    [
        "",
        "loss=0.5;",
        '{"loss": 0.5}',
        "see __dagster_pipes_version",
        '["__dagster_pipes_version"]',
        '{"__dagster_pipes_v',
    ],
)
def test_ordinary_lines_are_no_messages(line: str) -> None:
    assert pipes_message(line) is None


def test_a_line_of_the_protocol_is_a_message() -> None:
    message = {"__dagster_pipes_version": "0.1", "method": "opened", "params": {}}
    assert pipes_message(json.dumps(message)) == message


def test_a_job_says_where_its_messages_are() -> None:
    by_log = where_messages_are({MESSAGES_VARIABLE: encode_param({"stdio": "stdout"})})
    by_s3 = where_messages_are({MESSAGES_VARIABLE: encode_param({"bucket": "b", "key_prefix": "k"})})
    assert in_the_log(by_log)
    assert not in_the_log(by_s3)
    assert by_s3["key_prefix"] == "k"


@pytest.mark.parametrize("environment", [{}, {MESSAGES_VARIABLE: "?"}, {MESSAGES_VARIABLE: "eA=="}])
def test_a_job_that_was_not_told_says_nothing(environment: dict[str, str]) -> None:
    assert where_messages_are(environment) == {}
