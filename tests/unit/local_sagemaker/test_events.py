"""When EventBridge gives an event up: the bounds of a target's retry policy."""

from typing import Any

import pytest

from ml_platform.local_sagemaker.events import exhausted_condition


@pytest.mark.parametrize(
    ("policy", "attempts", "age_seconds", "condition"),
    [
        ({}, 1, 0.0, None),
        ({}, 185, 86_400.0, None),
        ({}, 186, 0.0, "MaximumRetryAttempts"),
        ({}, 1, 86_401.0, "MaximumEventAgeInSeconds"),
        ({"MaximumRetryAttempts": 0}, 1, 0.0, "MaximumRetryAttempts"),
        ({"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60}, 2, 60.0, None),
        ({"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60}, 2, 61.0, "MaximumEventAgeInSeconds"),
    ],
)
def test_an_event_is_given_up_at_the_first_bound(
    policy: dict[str, Any], attempts: int, age_seconds: float, condition: str | None
) -> None:
    assert exhausted_condition(policy, attempts, age_seconds) == condition
