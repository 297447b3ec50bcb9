"""Jobs of the platform without Dagster: started, followed and read by the same functions as in the graph."""

from typing import Any

from ml_platform.aws import job_lifecycle, transform_jobs
from ml_platform.aws.objects import ObjectStore
from ml_platform.batch.run import BatchInputs, BatchScores, has_answer, score_batch_by
from ml_platform.core.clock import sleep, utc_now
from ml_platform.core.settings import Settings
from ml_platform.training.run import Candidate, TrainingInputs, run_job, train_by


def train(settings: Settings, store: ObjectStore, inputs: TrainingInputs, **following: Any) -> Candidate:
    """Return the candidate for these inputs."""
    return train_by(lambda request: run_job(settings, store, request, **following), settings, store, inputs)


def score_batch(settings: Settings, store: ObjectStore, inputs: BatchInputs) -> BatchScores:
    """Return the scores of these rows."""

    def run(request: Any) -> transform_jobs.TransformJob:
        name = transform_jobs.start_or_adopt(settings.region, request, usable=lambda job: has_answer(store, job))

        def look() -> transform_jobs.TransformJob:
            job = transform_jobs.describe(settings.region, name)
            assert job is not None
            return job

        return job_lifecycle.follow(
            look, lambda _: None, clock=utc_now, sleep=sleep, poll_seconds=settings.poll_seconds
        )

    return score_batch_by(run, settings, store, inputs)
