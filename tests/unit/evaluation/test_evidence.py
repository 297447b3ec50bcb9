"""The evidence keeps the verdict and the figures of both models."""

from datetime import UTC, datetime

from ml_platform.evaluation.evidence import PromotionEvidence
from ml_platform.evaluation.report import EvaluationReport
from tests.unit.evaluation.builders import CANDIDATE, a_champion, a_report


def evidence(champion: EvaluationReport | None, *failures: str) -> PromotionEvidence:
    return PromotionEvidence(
        model="card_fraud",
        candidate_fingerprint=CANDIDATE,
        artifact_uri="s3://bucket/model.tar.gz",
        training_job="card-fraud-train-1",
        challenger=a_report(),
        champion=champion,
        failures=failures,
        decided_at=datetime(2018, 8, 22, tzinfo=UTC),
    )


def test_evidence_survives_json_unchanged() -> None:
    kept = evidence(a_champion(), "average precision 0.1 < 0.2")
    assert PromotionEvidence.model_validate_json(kept.model_dump_json()) == kept


def test_figures_of_both_models_have_names_of_their_own() -> None:
    figures = evidence(a_champion(average_precision=0.6)).figures()
    assert (figures["average_precision"], figures["champion_average_precision"]) == (0.67, 0.6)
    assert not any(name.startswith("champion") for name in evidence(None).figures())


def test_the_verdict_passed_only_without_reasons() -> None:
    assert evidence(None).verdict.passed
    assert not evidence(None, "too few positives").verdict.passed
