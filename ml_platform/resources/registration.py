"""Registration: a candidate that passed the gate becomes a package, with its dossier, card and dependency list.

Safe to repeat: the same candidate on the same basis is one package. When the basis changed since it was registered,
the new evidence takes the old one's place and any approval on the old one is void.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from ml_platform.aws import model_packages, training_jobs
from ml_platform.aws.manifests import Manifests
from ml_platform.aws.model_packages import ModelPackage
from ml_platform.core import names
from ml_platform.core.errors import MLPlatformError
from ml_platform.registry import dossier, lookup, model_package
from ml_platform.registry.dossier import Dossier, EvidenceError
from ml_platform.resources.evidence import ARTIFACT_DIGEST
from ml_platform.resources.governance import Governance
from ml_platform.resources.package_dossier import build_dossier
from ml_platform.resources.training_sources import TrainingSources

if TYPE_CHECKING:
    from ml_platform.evaluation.evidence import PromotionEvidence
    from ml_platform.features.offline.training_set_spec import TrainingSetManifest
    from ml_platform.resources.package_dossier import Declared, Origin
    from ml_platform.training.run import Candidate


class NotPromotableError(MLPlatformError):
    """The evidence does not allow what was asked for."""


GATE = "gate"


def register(
    governance: Governance,
    evidence: "PromotionEvidence",
    candidate: "Candidate",
    training_set: "TrainingSetManifest",
    declared: "Declared",
    origin: "Origin",
) -> ModelPackage:
    """Return the package of a candidate that passed the gate.

    Raises:
        NotPromotableError: When the evidence is about another candidate, older than the policies, or against it.
        ArtifactError: When the artifact is truncated, was altered, or is another candidate's.
        CardTooLongError: When the model card does not fit in SageMaker.
    """
    _require_own_evidence(evidence, candidate, declared)
    region, group = governance.settings.region, names.model_package_group(candidate.model)
    artifact = governance.evidence.verified_artifact(candidate.artifact_uri, candidate.fingerprint)
    found = build_dossier(
        governance.settings,
        # A run may train with other parameters than those declared: the job knows.
        replace(declared, parameters=training_jobs.hyperparameters(region, candidate.job_name) or declared.parameters),
        candidate,
        training_set,
        evidence,
        baseline=artifact.baseline,
        basis=governance.evidence.basis(declared.policies, _sources(governance, training_set)),
        origin=origin,
    )
    package = lookup.find_by_fingerprint(region, group, candidate.fingerprint)
    if package is not None and _rests_on(governance, package, found):
        return _complete(governance, package, origin)
    properties = {**governance.evidence.keep(found), ARTIFACT_DIGEST: artifact.digest, "dagster_run": origin.run_id}
    if package is not None:
        package = _renew(governance, package, properties, origin)
        return _complete(governance, package, origin)
    package = model_package.register(
        governance.settings,
        model_package.Submission(
            model=candidate.model,
            artifact_uri=candidate.artifact_uri,
            fingerprint=candidate.fingerprint,
            training_job=candidate.job_name,
            training_set_fingerprint=candidate.training_set_fingerprint,
            report_uri=properties[dossier.ADDRESS],
            metrics=evidence.challenger.figures,
            properties=properties,
        ),
    )
    return _complete(governance, package, origin)


def _require_own_evidence(evidence: "PromotionEvidence", candidate: "Candidate", declared: "Declared") -> None:
    again = f"Materialize {candidate.model}/evaluation_report for this candidate."
    if evidence.candidate_fingerprint != candidate.fingerprint:
        raise NotPromotableError(
            f"The evaluation report is about {evidence.candidate_fingerprint[:12]}, the candidate is "
            f"{candidate.fingerprint[:12]}. {again}"
        )
    if not evidence.verdict.passed:
        raise NotPromotableError(
            f"The promotion gate stopped {candidate.fingerprint[:12]}: {'; '.join(evidence.failures)}."
        )
    other = sorted(name for name, known in evidence.policies.items() if declared.policies.get(name) != known)
    if other:
        raise NotPromotableError(f"Since the evaluation the {' and the '.join(other)} changed. {again}")


def _sources(governance: Governance, training_set: "TrainingSetManifest") -> TrainingSources:
    """Return the landed days of this training set, as they were when it was built."""
    known = Manifests(governance.store, governance.model).find("training_set_sources", TrainingSources)
    if known is None or known.training_set != training_set.fingerprint:
        raise NotPromotableError(
            f"It is not known which landed days the training set {training_set.fingerprint[:12]} was made of. "
            f"Materialize {governance.model}/training_set."
        )
    return known


def _rests_on(governance: Governance, package: ModelPackage, found: Dossier) -> bool:
    try:
        return dossier.read(governance.store, package).basis == found.basis
    except EvidenceError:
        return False


def _renew(governance: Governance, package: ModelPackage, properties: dict[str, str], origin: "Origin") -> ModelPackage:
    """Put new evidence in the place of evidence that is stale; an approval was given on the old one."""
    region = governance.settings.region
    model_packages.set_properties(region, package.arn, model_package.allowed(properties))
    if package.approved:
        reason = "its evidence was renewed, because what it rests on had changed"
        model_package.withdraw(region, package.arn, GATE, reason)
        governance.trail.append("void", package, by=GATE, reason=reason, at=origin.at)
    return model_package.existing(region, package.arn)


def _complete(governance: Governance, package: ModelPackage, origin: "Origin") -> ModelPackage:
    """Do what an attempt that died after the registration left undone, and let the gate approve if it may."""
    if not governance.trail.has("register", package):
        governance.trail.append(
            "register",
            package,
            by=origin.trained_by,
            reason="passed the promotion gate",
            at=origin.at,
            details={"candidate": package.properties.get(lookup.FINGERPRINT, ""), "dagster_run": origin.run_id},
        )
    if governance.settings.approve_by_gate and package.status == model_packages.PENDING:
        return governance.approve(package, by=GATE, reason="passed the promotion gate", at=origin.at)
    governance.evidence.publish_card(package)
    return package
