"""Governance: decisions about packages, taken on evidence that holds, and put on record.

The rules are in ``registry``: who may approve, and how long that holds. What decisions rest on is ``evidence``.
"""

import getpass
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ml_platform.aws import identity, model_packages
from ml_platform.aws.model_packages import ModelPackage
from ml_platform.aws.objects import ObjectStore
from ml_platform.core.errors import ArtifactError, MLPlatformError
from ml_platform.core.settings import Settings
from ml_platform.registry import approval, model_package
from ml_platform.registry.approval import SelfApprovalError
from ml_platform.registry.audit import Act, AuditTrail
from ml_platform.registry.dossier import EvidenceError
from ml_platform.resources.evidence import PackageEvidence, StaleEvidenceError

UNSOUND = (EvidenceError, ArtifactError, StaleEvidenceError)
"""What makes a package unfit. An S3 or a registry that does not answer now is no reason against it."""


def acting_person(settings: Settings) -> str:
    """Return who acts: the person AWS names, else the one in the settings, else the user this runs as."""
    return identity.person_of(identity.caller_arn(settings.region)) or settings.user or _user()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without an entry, as in many containers
        return f"user {os.getuid()}"


@dataclass(frozen=True, slots=True)
class Governance:
    """The governance of one model's packages."""

    settings: Settings
    model: str

    @property
    def store(self) -> ObjectStore:
        """The platform's bucket."""
        return ObjectStore.from_settings(self.settings)

    @property
    def evidence(self) -> PackageEvidence:
        """The evidence on the model's packages."""
        return PackageEvidence(self.settings, self.model)

    @property
    def trail(self) -> AuditTrail:
        """The model's audit trail."""
        return AuditTrail(self.store, self.model)

    def doubts(
        self, package: ModelPackage, policies: Mapping[str, str] | None = None, *, at: datetime
    ) -> tuple[str, ...]:
        """Return what speaks against relying on a package now, in words: stale or missing evidence, a late approval.

        Args:
            package: The package.
            policies: As they are declared now; None: they are not compared.
            at: The present instant.
        """
        try:
            found = tuple(f"Its evidence is stale: {change}." for change in self.evidence.changes(package, policies))
        except MLPlatformError as error:
            found = (str(error),)
        if package.approved and not approval.was_live(package):
            late = approval.expired(package, at, self.settings.approval_valid_days)
            return (
                (*found, f"It will not be deployed: {late}. Look at it again: `ml-platform approve`.")
                if late
                else found
            )
        return found

    def approve(  # each is a part of the decision
        self,
        package: ModelPackage,
        *,
        by: str,
        reason: str,
        at: datetime,
        policies: Mapping[str, str] | None = None,
    ) -> ModelPackage:
        """Approve a package on evidence that holds; put it on record and on its card. An expired approval is renewed.

        Raises:
            SelfApprovalError: When who trained it wants to approve it; the attempt is on record.
            StaleEvidenceError: When its evidence is stale; and as ``require_sound``.
        """
        try:
            approval.require_another_person(package, by)
            self.evidence.require_sound(package, policies)
        except (SelfApprovalError, *UNSOUND) as error:
            self.trail.append("refuse", package, by=by, reason=f"approval: {error}", at=at)
            raise
        if package.approved:
            late = approval.expired(package, at, self.settings.approval_valid_days)
            if late is None:
                return package
            self._take_back("expire", package, by=by, reason=late, at=at)
        # On record before it is so: an approval that nobody can trace would be deployed by itself.
        self.trail.append("approve", package, by=by, reason=reason, at=at)
        return self._decided(model_package.approve(self.settings.region, package.arn, by, reason, at))

    def reject(self, package: ModelPackage, *, by: str, reason: str, at: datetime) -> ModelPackage:
        """Reject a package, for a reason that is kept."""
        self.trail.append("reject", package, by=by, reason=reason, at=at)
        return self._decided(model_package.reject(self.settings.region, package.arn, by, reason, at))

    def _decided(self, package: ModelPackage) -> ModelPackage:
        self.evidence.renew_card(package)
        return package

    def require_deployable(self, package: ModelPackage, policies: Mapping[str, str] | None, *, at: datetime) -> None:
        """Refuse a package whose approval expired or is void; the approval is taken back, and that put on record.

        A version that was live before may come back: in an incident, the model that is known is the safer one.

        Raises:
            StaleEvidenceError: With the reason; the package waits for a decision again.
            ArtifactError: When the artifact is not the one that was judged.
        """
        if approval.was_live(package):
            return
        by = "the deployment"
        if reason := approval.expired(package, at, self.settings.approval_valid_days):
            self._take_back("expire", package, by=by, reason=reason, at=at)
            raise StaleEvidenceError(f"Nothing was deployed: {reason}. Look at it again: `ml-platform approve`.")
        try:
            self.evidence.require_sound(package, policies)
        except UNSOUND as error:
            self._take_back("void", package, by=by, reason=str(error), at=at)
            raise

    def _take_back(
        self, act: Literal["expire", "void"], package: ModelPackage, *, by: str, reason: str, at: datetime
    ) -> None:
        withdrawn = model_package.withdraw(self.settings.region, package.arn, by, reason)
        self.trail.append(act, withdrawn, by=by, reason=reason, at=at)
        self.evidence.renew_card(withdrawn)

    def record_rollback(
        self, left: ModelPackage, set_aside: Sequence[ModelPackage], *, by: str, reason: str, at: datetime
    ) -> None:
        """Put on record, and on the cards, which version a rollback left and which approvals it took back."""
        why = f"set aside by the rollback of version {left.version}"
        acts: list[tuple[Act, ModelPackage, str]] = [("void", package, why) for package in set_aside]
        for act, package, because in (*acts, ("rollback", left, reason)):
            self.trail.append(act, package, by=by, reason=because, at=at)
            self.evidence.renew_card(model_package.existing(self.settings.region, package.arn))

    def record_deployment(self, package: ModelPackage, *, by: str, changed: bool, at: datetime) -> None:
        """Put on record that a package is live, unless that is known and nothing ``changed``."""
        known = approval.was_live(package)
        if not known:
            first = model_package.allowed({approval.FIRST_LIVE_AT: at.isoformat()})
            model_packages.set_properties(self.settings.region, package.arn, first)
        if changed or not known:
            self.trail.append("deploy", package, by=by, reason=package.approval_description, at=at)
