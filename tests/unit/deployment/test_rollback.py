"""Rollback plans: which version returns, what is kept from coming instead, and when nothing can be done."""

from datetime import UTC, datetime

import pytest

from ml_platform.aws.model_packages import Approval, ModelPackage
from ml_platform.deployment.rollback import NothingToRollBackToError, plan_rollback

STATUS: dict[str, Approval] = {"A": "Approved", "R": "Rejected", "P": "PendingManualApproval"}


def packages(letters: str) -> list[ModelPackage]:
    """Versions from 1, newest first."""
    made = [
        ModelPackage(
            arn=f"arn:{n}", group="g", version=n, status=STATUS[letter], created_at=datetime(2026, 1, n, tzinfo=UTC)
        )
        for n, letter in enumerate(letters, start=1)
    ]
    return made[::-1]


@pytest.mark.parametrize(
    ("letters", "live", "version", "leaves", "returns", "set_aside"),
    [
        pytest.param("AA", 2, None, 2, 1, [], id="the one before"),
        pytest.param("AAA", 3, 3, 3, 2, [], id="the newest before, not the oldest"),
        pytest.param("ARA", 3, None, 3, 1, [], id="a rejected one does not return"),
        pytest.param("APA", 3, None, 3, 1, [], id="nor one that nobody approved"),
        pytest.param("AAA", 2, None, 2, 1, [3], id="an approved one that never went live is set aside"),
        pytest.param("AR", 2, 2, 2, 1, [], id="rejected by an attempt that died: completed"),
        pytest.param("AR", 1, 2, 2, 1, [], id="done already: done again changes nothing"),
        pytest.param("AAR", None, 3, 3, 2, [], id="nothing is live, the endpoint failed"),
    ],
)
def test_what_leaves_and_what_returns(
    letters: str, live: int | None, version: int | None, leaves: int, returns: int, set_aside: list[int]
) -> None:
    known = packages(letters)
    served = next((package for package in known if package.version == live), None)
    plan = plan_rollback(known, served, version)
    assert (plan.leaves.version, plan.returns.version) == (leaves, returns)
    assert [package.version for package in plan.set_aside] == set_aside


@pytest.mark.parametrize(
    ("letters", "live", "version", "reason"),
    [
        pytest.param("A", 1, None, "No version before 1 is approved.* goes on serving", id="the first"),
        pytest.param("RPA", 3, None, "No version before 3 is approved", id="none before is approved"),
        pytest.param("AA", None, None, "no live endpoint", id="nothing is live"),
        pytest.param("AA", 2, 7, "no version 7.*There are: 2 \\(Approved\\), 1", id="no such version"),
        pytest.param("AAA", 3, 2, "Version 2 is not live, version 3 is. Nothing was changed", id="another is live"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(
    letters: str, live: int | None, version: int | None, reason: str
) -> None:
    known = packages(letters)
    served = next((package for package in known if package.version == live), None)
    with pytest.raises(NothingToRollBackToError, match=reason):
        plan_rollback(known, served, version)
