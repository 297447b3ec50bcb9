"""Evidence: what is known about a package, brought together, kept, shown, and held against today.

What a dossier and a card say is ``registry``. Who decides on evidence, and for how long it holds, is ``governance``.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ml_platform
from ml_platform.aws import model_cards
from ml_platform.aws.model_packages import ModelPackage
from ml_platform.aws.objects import ObjectStore
from ml_platform.core import names
from ml_platform.core.errors import ArtifactError, MLPlatformError
from ml_platform.core.fingerprint import fingerprint_bytes, fingerprint_source
from ml_platform.core.settings import Settings
from ml_platform.registry import approval, dossier
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


def code_fingerprints() -> dict[str, str]:
    """Return the fingerprints of the code that evidence rests on."""
    package = Path(ml_platform.__file__).parent
    return {
        name: fingerprint_bytes("".join(fingerprint_source(package / part) for part in parts).encode())
        for name, parts in _CODE.items()
    }


@dataclass(frozen=True, slots=True)
class PackageEvidence:
    """The evidence on one model's packages."""

    settings: Settings
    model: str

    @property
    def store(self) -> ObjectStore:
        """The platform's bucket."""
        return ObjectStore.from_settings(self.settings)

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

    def renew_card(self, package: ModelPackage) -> None:
        """Write the card of a package as it is now, if there is anything to write it of."""
        # Without a dossier that can be trusted there is nothing to write a card of; the decision stands all the same.
        with suppress(EvidenceError):
            self.publish_card(package)
