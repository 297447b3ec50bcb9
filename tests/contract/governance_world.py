"""A candidate that passed its gate, with everything a registration asks for: real artifact, real registry, real S3."""

import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

from ml_platform.aws.manifests import Manifests
from ml_platform.aws.model_packages import ModelPackage
from ml_platform.core.settings import Settings
from ml_platform.evaluation.evidence import PromotionEvidence
from ml_platform.features.offline.training_set_spec import SplitManifest, TrainingSetManifest, TrainingSetSpec
from ml_platform.ingestion.ledger import LandedDayEntry, record_landing
from ml_platform.modeling.artifact import pack_archive, save_artifact
from ml_platform.modeling.baseline import Baseline
from ml_platform.modeling.pipeline import FittedPipeline
from ml_platform.resources import registration
from ml_platform.resources.governance import Governance
from ml_platform.resources.package_dossier import Declared, Origin
from ml_platform.resources.training_sources import sources_of
from ml_platform.training.run import Candidate
from tests.unit.evaluation.builders import a_report
from tests.unit.modeling.payments import hyperparameters, payments

NOW = datetime(2026, 4, 1, 9, tzinfo=UTC)
DAY = date(2026, 2, 10)
TABLE = "payments/transactions"


@cache
def an_archive(fingerprint: str) -> bytes:
    """The bytes of a small real artifact, signed with a fingerprint."""
    rows = payments(600, 1)
    fitted = FittedPipeline.fit(rows, None, hyperparameters(fingerprint=fingerprint))
    with tempfile.TemporaryDirectory() as scratch:
        folder, archive = Path(scratch, "model"), Path(scratch, "model.tar.gz")
        baseline = Baseline.measure(fitted.signature, rows, fitted.score(rows))
        save_artifact(fitted, baseline, fingerprint, folder)
        pack_archive(folder, archive)
        return archive.read_bytes()


@dataclass(frozen=True)
class GovernanceWorld:
    """One model's candidate and registry."""

    settings: Settings
    model: str

    @property
    def governance(self) -> Governance:
        return Governance(self.settings, self.model)

    @property
    def fingerprint(self) -> str:
        return self.model.ljust(64, "0")

    def land(self, fingerprint: str = "as-first-landed") -> None:
        """Land the training set's one day, or correct it."""
        entry = LandedDayEntry(
            version=None, fingerprint=fingerprint, accepted=1, quarantined=0, revision=1, changed_at=NOW
        )
        record_landing(self.governance.store, TABLE, {DAY: entry}, {})

    def declared(self, **overrides: object) -> Declared:
        declared = Declared(
            purpose="Score payments <script>alert(1)</script>",
            owner="team:fraud",
            parameters={"seed": 7},
            gate={"min_positives": 30},
            policies={"gate policy": "g1", "decision policy": "m1"},
        )
        return replace(declared, **overrides)

    def candidate(self) -> Candidate:
        address = self.governance.store.put(f"{self.model}/model.tar.gz", an_archive(self.fingerprint))
        return Candidate(
            model=self.model,
            job_name=f"{self.model}-train",
            job_arn="arn:aws:sagemaker:us-east-1:000000000000:training-job/x",
            artifact_uri=address,
            fingerprint=self.fingerprint,
            training_set_fingerprint="t" * 64,
            metrics={},
            billable_seconds=60,
            instance_type="ml.m5.large",
            started_at=NOW,
            ended_at=NOW,
        )

    def training_set(self) -> TrainingSetManifest:
        spec = TrainingSetSpec(model=self.model, as_of=datetime(2026, 3, 30, tzinfo=UTC))
        split = SplitManifest(uri="s3://b/holdout/", first_day=DAY, last_day=DAY, rows=1000, positives=30, unlabelled=2)
        return TrainingSetManifest(
            model=self.model,
            fingerprint="t" * 64,
            uri="s3://b/",
            features=spec.features,
            as_of=spec.as_of,
            splits={"train": split, "holdout": split},
            spec=spec,
            fingerprints={},
        )

    def evidence(self, **overrides: object) -> PromotionEvidence:
        fields = {
            "model": self.model,
            "candidate_fingerprint": self.fingerprint,
            "artifact_uri": "s3://b/model.tar.gz",
            "training_job": f"{self.model}-train",
            "challenger": a_report(),
            "champion": None,
            "policies": {"gate policy": "g1", "decision policy": "m1"},
            "intervals": {"average_precision": (0.61, 0.73)},
            "failures": (),
            "decided_at": NOW,
        }
        return PromotionEvidence(**{**fields, **overrides})

    def register(self, trained_by: str = "tina", declared: Declared | None = None) -> ModelPackage:
        manifests = Manifests(self.governance.store, self.model)
        training_set = self.training_set()
        sources = sources_of(self.governance.store, training_set.spec)
        manifests.write("training_set_sources", sources.of_set(training_set.fingerprint))
        known = declared or self.declared()
        return registration.register(
            self.governance,
            self.evidence(policies=dict(known.policies)),
            self.candidate(),
            training_set,
            known,
            Origin(trained_by=trained_by, run_id="run-1", at=NOW),
        )
