"""The life of one tuning job: begin training jobs, watch them, give up the hopeless ones, know when it is enough.

All it must know after a restart of the stand-in is in the store: the tuning job's children and what they were given.
"""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from typing import Any

from ml_platform.local_sagemaker import training_run
from ml_platform.local_sagemaker.jobs import RUNNING
from ml_platform.local_sagemaker.service import BROKEN, OPERATIONS, AwsError, Service
from ml_platform.local_sagemaker.training_status import KIND as TRAINING_KIND
from ml_platform.local_sagemaker.tuning.ranges import Point, read_space
from ml_platform.local_sagemaker.tuning.stopping import is_hopeless, is_outdone
from ml_platform.local_sagemaker.tuning.strategies import next_point
from ml_platform.local_sagemaker.tuning.trials import (
    KIND,
    better_of,
    direction,
    not_improving,
    objective_status,
    progress,
    results_in_order,
)
from ml_platform.local_sagemaker.tuning.warm_start import IDENTICAL, known_results, standardised

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 0.1
ATTEMPTS_WITHOUT_SUCCESS = 5
NOTHING_SUCCEEDED = (
    "No training job succeeded after {count} attempts. For additional details, please take a look at the training job "
    "failures by listing training jobs for the tuning job."
)
NO_OBJECTIVE = (
    "No objective metrics found after running {count} training jobs. Please ensure that the custom algorithm is "
    "emitting the objective metric as defined by the regular expression provided."
)
OWN_MEMBERS = ("StaticHyperParameters", "DefinitionName", "TuningObjective", "HyperParameterRanges")
Body = dict[str, Any]


def start(service: Service, name: str) -> None:
    """Run a stored tuning job in the background."""
    service.spawn(_live(service, name), f"tuning job {name}")


def training_job_request(service: Service, tuning: Body, number: int, tuned: dict[str, str]) -> Body:
    """Return the request of a tuning job's training job; what only the stand-in knows is stored with it."""
    definition = tuning["TrainingJobDefinition"]
    name = tuning["HyperParameterTuningJobName"]
    objective = tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"]
    token = hashlib.sha256(f"{name}/{tuning['CreationTime']}/{number}".encode()).hexdigest()[:8]
    parameters = {**definition.get("StaticHyperParameters", {}), **tuned, "_tuning_objective_metric": objective}
    request = {member: value for member, value in definition.items() if member not in OWN_MEMBERS}
    job = f"{name}-{number:03d}-{token}"
    if "CheckpointConfig" in request:
        # In one folder for all, a training job would go on with what another one learned.
        checkpoints = request["CheckpointConfig"]
        request["CheckpointConfig"] = checkpoints | {"S3Uri": f"{checkpoints['S3Uri'].rstrip('/')}/{job}"}
    return request | {
        "TrainingJobName": job,
        "HyperParameters": parameters,
        "TuningJobArn": service.arn(KIND, name),
        "_Tuned": tuned,
    }


async def _live(service: Service, name: str) -> None:
    run = _Run(service, name)
    try:
        while not await run.step():
            await asyncio.sleep(LOOK_EVERY_SECONDS)
    except Exception:
        # A defect of ours: a job that nobody runs any more must not stay in progress for ever.
        logger.exception("tuning job %s failed inside the stand-in", name)
        run.finish("Failed", BROKEN)


class _Run:
    """One tuning job while it runs."""

    def __init__(self, service: Service, name: str) -> None:
        self._service = service
        self._name = name
        self._space = read_space(self.body["HyperParameterTuningJobConfig"]["ParameterRanges"])
        self._jobs: dict[str, Body] = {}
        self._refusal: str | None = None
        """Why no further training job could be created."""

    @property
    def body(self) -> Body:
        body = self._service.store.get(KIND, self._name)
        assert body is not None  # noqa: S101 - only tuning jobs that ended can be deleted
        return body

    async def step(self) -> bool:
        """Look once, do what is due, and return whether the tuning job has ended."""
        body = self.body
        self._look(body)
        running = [job for job in self._jobs.values() if job["TrainingJobStatus"] in RUNNING]
        stopping = body["HyperParameterTuningJobStatus"] == "Stopping"
        failure = self._refusal or (None if stopping else self._failure(body))
        enough = stopping or failure is not None or self._enough(body)
        if enough:
            self._stop(running)
        else:
            self._stop([job for job in running if self._is_to_be_stopped(body, job)])
        exhausted = False
        limits = body["HyperParameterTuningJobConfig"]["ResourceLimits"]
        for _ in range(0 if enough else limits["MaxParallelTrainingJobs"] - len(running)):
            exhausted = not await self._begin_another(self.body)
            if exhausted:
                break
        if not (enough or exhausted):
            return False
        if self._running():
            return False
        failure = failure or self._refusal or (None if stopping else self._final_failure(self.body))
        self.finish("Stopped" if stopping else "Failed" if failure else "Completed", failure)
        return True

    def finish(self, status: str, reason: str | None = None) -> None:
        """Note the end."""
        now = self._service.clock.timestamp()
        self._service.store.update(
            KIND,
            self._name,
            HyperParameterTuningJobStatus=status,
            FailureReason=reason,
            HyperParameterTuningEndTime=now,
            LastModifiedTime=now,
            ConsumedResources={"RuntimeInSeconds": round(now - self.body["CreationTime"])},
        )

    def _running(self) -> bool:
        return any(job["TrainingJobStatus"] in RUNNING for job in self._jobs.values())

    def _look(self, tuning: Body) -> None:
        """Learn how the children are, and tell it in the tuning job's description."""
        for name in tuning["_Children"]:
            known = self._jobs.get(name)
            if known and known["TrainingJobStatus"] not in RUNNING:
                continue
            if job := self._service.store.get(TRAINING_KIND, name):
                self._jobs[name] = self._keep_series(tuning, job)
        told = progress(tuning, list(self._jobs.values()))
        if "_ParentBest" in tuning:
            told["OverallBestTrainingJob"] = better_of(tuning, tuning["_ParentBest"], told["BestTrainingJob"])
        if any(tuning.get(member) != value for member, value in told.items()):
            self._service.store.update(KIND, self._name, **told, LastModifiedTime=self._service.clock.timestamp())

    def _keep_series(self, tuning: Body, job: Body) -> Body:
        """Keep what an ended job printed over time: later ones are compared with it."""
        if job["TrainingJobStatus"] in RUNNING:
            return job
        name = job["TrainingJobName"]
        series = self._series(tuning, name)
        self._service.live_metrics.pop(name, None)
        return self._service.store.update(TRAINING_KIND, name, _Series=series) if series else job

    def _series(self, tuning: Body, name: str) -> list[float]:
        metrics = self._service.live_metrics.get(name)
        objective = tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"]
        return metrics.series(objective) if metrics else []

    def _is_to_be_stopped(self, tuning: Body, job: Body) -> bool:
        """Return whether a running job is given up, by Hyperband's rule or that of early stopping."""
        config = tuning["HyperParameterTuningJobConfig"]
        bounds = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig")
        if bounds is None and config.get("TrainingJobEarlyStoppingType") != "Auto":
            return False
        sign = direction(tuning)
        series = [sign * value for value in self._series(tuning, job["TrainingJobName"])]
        others = [each for name, each in self._jobs.items() if name != job["TrainingJobName"]]
        if bounds is not None:
            known = [each.get("_Series") or self._series(tuning, each["TrainingJobName"]) for each in others]
            rivals = [[sign * value for value in each] for each in known]
            return is_outdone(series, rivals, bounds["MinResource"], bounds["MaxResource"])
        completed = [each.get("_Series", []) for each in others if each["TrainingJobStatus"] == "Completed"]
        return is_hopeless(series, [[sign * value for value in each] for each in completed])

    def _stop(self, jobs: Sequence[Body]) -> None:
        for job in jobs:
            name = job["TrainingJobName"]
            now = self._service.store.get(TRAINING_KIND, name)
            if now and now["TrainingJobStatus"] == "InProgress":
                training_run.request_stop(self._service, name)

    def _enough(self, tuning: Body) -> bool:
        """Return whether a limit or a completion criterion ends the tuning job before all its training jobs ran."""
        config = tuning["HyperParameterTuningJobConfig"]
        longest = config["ResourceLimits"].get("MaxRuntimeInSeconds")
        if longest is not None and self._service.clock.timestamp() - tuning["CreationTime"] > longest:
            return True
        criteria = config.get("TuningJobCompletionCriteria", {})
        results = results_in_order(tuning, list(self._jobs.values()))
        target = criteria.get("TargetObjectiveMetricValue")
        if target is not None and any(value >= direction(tuning) * target for _, value in results):
            return True
        patience = criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving")
        return patience is not None and not_improving(results) >= patience

    def _failure(self, tuning: Body) -> str | None:
        """Return why there is no point in going on."""
        ended = [job for job in self._jobs.values() if job["TrainingJobStatus"] not in RUNNING]
        return self._why_nothing(tuning, ended) if len(ended) >= ATTEMPTS_WITHOUT_SUCCESS else None

    def _final_failure(self, tuning: Body) -> str | None:
        return self._why_nothing(tuning, list(self._jobs.values())) if self._jobs else None

    def _why_nothing(self, tuning: Body, ended: Sequence[Body]) -> str | None:
        if any(objective_status(tuning, job) == "Succeeded" for job in ended):
            return None
        ran = any(job["TrainingJobStatus"] != "Failed" for job in ended)
        return (NO_OBJECTIVE if ran else NOTHING_SUCCEEDED).format(count=len(ended))

    async def _begin_another(self, tuning: Body) -> bool:
        """Begin the next training job; return whether there was one left to begin."""
        config = tuning["HyperParameterTuningJobConfig"]
        number = len(tuning["_Children"]) + 1
        most = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
        if most is not None and number > most:
            return False
        seed = str(config.get("RandomSeed", f"{self._name}/{tuning['CreationTime']}"))
        # A model of the objective takes a while to fit: the service must answer meanwhile.
        point = await asyncio.to_thread(
            next_point, config["Strategy"], self._space, self._results(tuning), number, seed
        )
        if point is None or self.body["HyperParameterTuningJobStatus"] == "Stopping":
            return False
        request = training_job_request(self._service, tuning, number, self._space.values_at(point)) | {"_Point": point}
        name = request["TrainingJobName"]
        # Noted before the job is there: after a crash in between, the number is not used for another one.
        self._service.store.update(KIND, self._name, _Children=[*tuning["_Children"], name])
        try:
            await OPERATIONS["CreateTrainingJob"](self._service, request)
        except AwsError as error:
            self._refusal = error.message
            return False
        self._jobs[name] = self._service.store.get(TRAINING_KIND, name) or {}
        return True

    def _results(self, tuning: Body) -> dict[Point, float | None]:
        """Return what was tried so far, by parents first, on one scale."""
        known = {job["TrainingJobName"]: value for job, value in results_in_order(tuning, list(self._jobs.values()))}
        own = {tuple(job["_Point"]): known.get(name) for name, job in self._jobs.items()}
        parents = known_results(tuning, self._space)
        transfer = bool(parents) and tuning["WarmStartConfig"]["WarmStartType"] != IDENTICAL
        return parents | (standardised(own) if transfer else own)
