"""Decisions about a package: who may take them, how long they hold, and why one is void.

Pure but for reading a package's properties. Taking a decision is ``model_package``; holding evidence against today is
``dossier``.
"""

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from ml_platform.aws.model_packages import PENDING, ModelPackage
from ml_platform.core.errors import MLPlatformError

TRAINED_BY, DECIDED_BY, DECIDED_AT, FIRST_LIVE_AT = "trained_by", "decided_by", "decided_at", "first_live_at"


class SelfApprovalError(MLPlatformError):
    """Who trained a model wants to approve it."""


class Decision(BaseModel):
    """An approval or a rejection."""

    model_config = ConfigDict(frozen=True)

    status: str
    by: str
    at: datetime
    reason: str

    def in_words(self) -> str:
        """Return the decision as a sentence."""
        return f"{self.status} by {self.by} on {self.at:%Y-%m-%d %H:%M} UTC: {self.reason}"


def decision_of(package: ModelPackage) -> Decision | None:
    """Return who decided about a package and when; None when nobody did, or not through the platform."""
    by, at = package.properties.get(DECIDED_BY), package.properties.get(DECIDED_AT)
    if not by or not at or package.status == PENDING:
        return None
    reason = package.approval_description.partition(": ")[2] or package.approval_description
    return Decision(status=package.status, by=by, at=datetime.fromisoformat(at), reason=reason)


def require_another_person(package: ModelPackage, by: str) -> None:
    """Refuse an approval by who trained the model.

    Raises:
        SelfApprovalError: When it is the same person.
    """
    trained_by = package.properties.get(TRAINED_BY, "")
    if trained_by and _same(trained_by, by):
        raise SelfApprovalError(
            f"Version {package.version} was trained by {trained_by}, who cannot approve it too. Ask another reviewer "
            "to look at it; rejecting it is open to everybody."
        )


def expired(package: ModelPackage, now: datetime, valid_days: int) -> str | None:
    """Return why an approval does not hold any more, or None. One whose date is unknown does not hold."""
    decision = decision_of(package)
    if decision is None:
        return (
            f"version {package.version} is approved, but neither by whom nor when is on record; "
            "approve it with `ml-platform approve`"
        )
    ends = decision.at + timedelta(days=valid_days)
    if now < ends:
        return None
    return (
        f"the approval of version {package.version} by {decision.by} expired on {ends:%Y-%m-%d}: approvals hold for "
        f"{valid_days} days (ML_PLATFORM_APPROVAL_VALID_DAYS)"
    )


def was_live(package: ModelPackage) -> bool:
    """Whether a package was served before: it may come back in an incident whatever has become stale since."""
    return bool(package.properties.get(FIRST_LIVE_AT))


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()
