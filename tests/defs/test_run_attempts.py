"""Asking for a run again: after pauses that double up to an hour, and never while one is under way."""

from datetime import UTC, datetime, timedelta

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.test_utils import create_run_for_test

from ml_platform.defs.run_attempts import ASK_TAG, next_attempt

ASK = "land 2026-01-05"


def try_once(instance: DagsterInstance, status: DagsterRunStatus) -> None:
    create_run_for_test(instance, tags={ASK_TAG: ASK}, status=status)


@pytest.mark.parametrize(("tried", "minutes"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (20, 60)])
def test_each_failure_doubles_the_pause_up_to_an_hour(instance: DagsterInstance, tried: int, minutes: int) -> None:
    for _ in range(tried):
        try_once(instance, DagsterRunStatus.FAILURE)
    due = datetime.now(UTC) + timedelta(minutes=minutes)
    assert next_attempt(instance, ASK, due - timedelta(seconds=30)) is None
    assert next_attempt(instance, ASK, due + timedelta(seconds=30)) == f"{ASK} (attempt {tried + 1})"


def test_what_is_under_way_is_not_asked_for(instance: DagsterInstance) -> None:
    assert next_attempt(instance, ASK, datetime.now(UTC)) == ASK
    try_once(instance, DagsterRunStatus.STARTED)
    assert next_attempt(instance, ASK, datetime.now(UTC) + timedelta(days=1)) is None
