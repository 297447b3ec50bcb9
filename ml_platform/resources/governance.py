"""Governance: what the capabilities found about a package, brought together, kept, and held against today.

The rules are in ``registry``: who may approve, how long it holds, what a card says. Here they get their facts.
"""

import getpass
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import ml_platform
from ml_platform.aws import identity, model_cards, model_packages
from ml_platform.aws.model_packages import ModelPackage
from ml_platform.aws.objects import ObjectStore
from ml_platform.core import names
from ml_platform.core.errors import ArtifactError, MLPlatformError
from ml_platform.core.fingerprint import fingerprint_bytes, fingerprint_tree
from ml_platform.core.settings import Settings
from ml_platform.registry import approval, dossier, model_package
from ml_platform.registry.approval import Decision
from ml_platform.registry.audit import Act, AuditTrail
from ml_platform.registry.card import card_content
from ml_platform.registry.card_page import card_page
from ml_platform.registry.dossier import Basis, Dossier, EvidenceError
from ml_platform.registry.sbom import dependency_list
from ml_platform.tracking.server import run_url

if TYPE_CHECKING:
    from ml_platform.modeling.artifact import Artifact
    from ml_platform.resources.training_sources import TrainingSources

ARTIFACT_DIGEST = "artifact_digest"
CARD_PAGE, DEPENDENCIES = "card_page", "dependency_list"
# Code that a judgement rests on: what makes features, what fits, what measures.
_CODE = {
    "feature definitions": ("../feature_repo", "features/windows", "features/offline", "features/labels"),
    "training code": ("containers/training", "modeling"),
    "evaluation code": ("evaluation",),
}


class StaleEvidenceError(MLPlatformError):
    """The evidence, or an approval given on it, does not hold any more."""


def acting_person(settings: Settings) -> str:
    """Return who acts: the person AWS names, else the one in the settings, else the user this runs as."""
    return identity.person_of(identity.caller_arn(settings.region)) or settings.user or _user()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without an entry, as in many containers
        return f"user {os.getuid()}"


def code_fingerprints() -> dict[str, str]:
    """Return the fingerprints of the code that evidence rests on."""
    package = Path(ml_platform.__file__).parent
    return {
        name: fingerprint_bytes("".join(fingerprint_tree(package / part) for part in parts).encode())
        for name, parts in _CODE.items()
    }


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
    def trail(self) -> AuditTrail:
        """The model's audit trail."""
        return AuditTrail(self.store, self.model)

    def basis(self, policies: Mapping[str, str], sources: "TrainingSources") -> Basis:
        """Return what evidence rests on that is gathered now."""
        return Basis(
            definitions={**code_fingerprints(), **self._images(), **policies},
            days={table: dict(days) for table, days in sources.days.items()},
        )

    def _images(self) -> dict[str, str]:
        return {"training image": self.settings.training_image, "serving image": self.settings.serving_image}

    def verified_artifact(self, uri: str, fingerprint: str) -> "Artifact":
        """Return a candidate's artifact.

        Raises:
            ArtifactError: When it is truncated, was altered, or is another candidate's.
        """
        from ml_platform.resources.artifacts import load_model

        artifact = load_model(self.store, uri)
        if artifact.fingerprint != fingerprint:
            raise ArtifactError(
                f"{uri} is signed {artifact.fingerprint[:12]}, the candidate is {fingerprint[:12]}: it is another "
                "model's artifact. Nothing is promoted; train again."
            )
        return artifact

    def keep(self, found: Dossier) -> dict[str, str]:
        """Write a dossier, its dependency list and its page; return the properties that point at them.

        Raises:
            CardTooLongError: When its card does not fit in SageMaker; nothing was written.
        """
        card_content(found)
        facts = found.facts
        prefix = dossier.folder(self.model, facts.fingerprint)
        listed = dependency_list(self.model, facts.fingerprint, found.registered_at)
        return {
            **dossier.keep(self.store, found),
            DEPENDENCIES: self.store.put(f"{prefix}sbom.cdx.json", listed.encode(), "application/vnd.cyclonedx+json"),
            CARD_PAGE: self.store.uri(f"{prefix}card.html"),
            approval.TRAINED_BY: facts.trained_by,
        }

    def publish_card(self, package: ModelPackage) -> str:
        """Write the card of a package, in SageMaker and as a page, as it is now; return the page's address."""
        found, decision = dossier.read(self.store, package), approval.decision_of(package)
        status: model_cards.CardStatus = "Approved" if package.approved else "PendingReview"
        model_cards.put(
            self.settings.region,
            self.card_name(package.version),
            card_content(found, decision),
            status,
            {"ml-platform:model": self.model},
        )
        page = card_page(found, package.version, decision, self._links(package))
        key = f"{dossier.folder(self.model, found.facts.fingerprint)}card.html"
        return self.store.put(key, page.encode(), "text/html; charset=utf-8")

    def card_name(self, version: int) -> str:
        """Return the name of a version's model card."""
        return names.sagemaker_name(self.model, f"v{version}")

    @staticmethod
    def _links(package: ModelPackage) -> dict[str, str]:
        known = package.properties
        wanted = (dossier.ADDRESS, DEPENDENCIES, "report_uri")
        links = {name.replace("_", " "): known[name] for name in wanted if known.get(name)}
        if known.get("mlflow_run"):
            address = (known.get("mlflow_server", ""), known.get("mlflow_experiment", ""), known["mlflow_run"])
            links["MLflow run"] = run_url(*address)
        return links

    def changes(self, package: ModelPackage, policies: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """Return what its evidence rests on and is no longer so.

        Args:
            package: The package.
            policies: As they are declared now; None: they are not compared.

        Raises:
            EvidenceError: When the evidence is absent, or was changed.
        """
        from ml_platform.resources.training_sources import landed_days

        then = dossier.read(self.store, package).basis
        days = [day for known in then.days.values() for day in known]
        now = Basis(
            # What is not compared counts as unchanged.
            definitions=(then.definitions if policies is None else dict(policies))
            | code_fingerprints()
            | self._images(),
            days=dict(landed_days(self.store, min(days), max(days))) if days else {},
        )
        return then.changes(now)

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
            found = tuple(f"Its evidence is stale: {change}." for change in self.changes(package, policies))
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

    def require_sound(self, package: ModelPackage, policies: Mapping[str, str] | None = None) -> None:
        """Refuse a package whose evidence or artifact is not what was judged, or is stale.

        Raises:
            EvidenceError: When the evidence is absent, or was changed.
            ArtifactError: When the artifact is truncated or was altered.
            StaleEvidenceError: With the list of what changed.
        """
        changed = self.changes(package, policies)
        artifact = self.verified_artifact(package.artifact_uri, package.properties.get("candidate_fingerprint", ""))
        if artifact.digest != package.properties.get(ARTIFACT_DIGEST):
            raise ArtifactError(
                f"The artifact of version {package.version} is not the one that was judged: its digest differs from "
                "the one the package names. Nothing is promoted; train again."
            )
        if changed:
            raise StaleEvidenceError(
                f"The evidence on version {package.version} is stale: {'; '.join(changed)}. Materialize "
                f"{self.model}/training_set and what follows, so that the gate judges what is so now."
            )

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
            self.require_sound(package, policies)
        except MLPlatformError as error:
            self.trail.append("refuse", package, by=by, reason=f"approval: {error}", at=at)
            raise
        if package.approved:
            late = approval.expired(package, at, self.settings.approval_valid_days)
            if late is None:
                return package
            self._take_back("expire", package, by=by, reason=late, at=at)
        decided = model_package.approve(self.settings.region, package.arn, by, reason, at)
        return self._record("approve", decided, Decision(status=decided.status, by=by, at=at, reason=reason))

    def reject(self, package: ModelPackage, *, by: str, reason: str, at: datetime) -> ModelPackage:
        """Reject a package, for a reason that is kept."""
        decided = model_package.reject(self.settings.region, package.arn, by, reason, at)
        return self._record("reject", decided, Decision(status=decided.status, by=by, at=at, reason=reason))

    def _record(self, act: Literal["approve", "reject"], package: ModelPackage, decision: Decision) -> ModelPackage:
        self.trail.append(act, package, by=decision.by, reason=decision.reason, at=decision.at)
        self.renew_card(package)
        return package

    def renew_card(self, package: ModelPackage) -> None:
        """Write the card of a package as it is now, if there is anything to write it of."""
        # Without a dossier that can be trusted there is nothing to write a card of; the decision stands all the same.
        with suppress(EvidenceError):
            self.publish_card(package)

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
            self.require_sound(package, policies)
        except MLPlatformError as error:
            self._take_back("void", package, by=by, reason=str(error), at=at)
            raise

    def _take_back(
        self, act: Literal["expire", "void"], package: ModelPackage, *, by: str, reason: str, at: datetime
    ) -> None:
        withdrawn = model_package.withdraw(self.settings.region, package.arn, by, reason)
        self.trail.append(act, withdrawn, by=by, reason=reason, at=at)
        self.renew_card(withdrawn)

    def record_rollback(
        self, left: ModelPackage, set_aside: Sequence[ModelPackage], *, by: str, reason: str, at: datetime
    ) -> None:
        """Put on record, and on the cards, which version a rollback left and which approvals it took back."""
        why = f"set aside by the rollback of version {left.version}"
        acts: list[tuple[Act, ModelPackage, str]] = [("void", package, why) for package in set_aside]
        for act, package, because in (*acts, ("rollback", left, reason)):
            self.trail.append(act, package, by=by, reason=because, at=at)
            self.renew_card(model_package.existing(self.settings.region, package.arn))

    def record_deployment(self, package: ModelPackage, *, by: str, changed: bool, at: datetime) -> None:
        """Put on record that a package is live, unless that is known and nothing ``changed``."""
        known = approval.was_live(package)
        if not known:
            first = model_package.allowed({approval.FIRST_LIVE_AT: at.isoformat()})
            model_packages.set_properties(self.settings.region, package.arn, first)
        if changed or not known:
            self.trail.append("deploy", package, by=by, reason=package.approval_description, at=at)
