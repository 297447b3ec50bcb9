"""Keeps lineage records of what assets made; reading them is ``decision_lineage`` and ``day_impact``."""

from datetime import date
from typing import TYPE_CHECKING

from ml_platform.aws.objects import ObjectStore
from ml_platform.core.settings import Settings

if TYPE_CHECKING:
    from ml_platform.batch.run import BatchScores
    from ml_platform.deployment.rollout import LiveEndpoint
    from ml_platform.training.run import Candidate


def keep_candidate(settings: Settings, store: ObjectStore, candidate: "Candidate") -> None:
    """Keep a candidate with the code and image that made it: its fingerprint covers both, so they are today's."""
    from ml_platform.registry import lineage
    from ml_platform.training.run import container_code_fingerprint

    lineage.keep_candidate(
        store,
        lineage.CandidateRecord(
            model=candidate.model,
            fingerprint=candidate.fingerprint,
            artifact_uri=candidate.artifact_uri,
            training_job=candidate.job_name,
            training_set_fingerprint=candidate.training_set_fingerprint,
            code_fingerprint=container_code_fingerprint(),
            image=settings.training_image,
            ended_at=candidate.ended_at,
        ),
    )


def keep_deployment(store: ObjectStore, model: str, live: "LiveEndpoint") -> None:
    """Keep what an endpoint serves from now on; one that was left alone keeps the record it has."""
    from ml_platform.registry import lineage

    kept = lineage.deployments(store, model)
    if kept and kept[-1].config == live.config and not live.changed:
        return
    facts = live.model_dump(include={"endpoint", "config", "package_arn", "version", "since"})
    lineage.keep_deployment(store, lineage.DeploymentRecord(model=model, **facts))


def keep_batch(store: ObjectStore, scores: "BatchScores", days: tuple[date, date]) -> None:
    """Keep a batch with the first and last day of the payments that it scored."""
    from ml_platform.registry import lineage

    shared = {"model", "fingerprint", "job_name", "package_arn", "version", "rows", "scores_uri", "ended_at"}
    facts = scores.model_dump(include=shared)
    lineage.keep_batch(store, lineage.BatchRecord(**facts, first_day=days[0], last_day=days[1]))
