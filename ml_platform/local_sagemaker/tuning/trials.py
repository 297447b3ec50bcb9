"""A tuning job's training jobs as it sees them: what each was given, how good it is, how many there are. Pure."""

import math
from collections.abc import Sequence
from typing import Any

from ml_platform.local_sagemaker.jobs import RUNNING

Body = dict[str, Any]
KIND = "hyper-parameter-tuning-job"


def objective_value(tuning: Body, job: Body) -> float | None:
    """Return the last value of the objective metric that a job printed."""
    metric = tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"]
    values = {each["MetricName"]: each["Value"] for each in job.get("FinalMetricDataList", [])}
    value = values.get(metric)
    return None if value is None or not math.isfinite(value) else float(value)


def direction(tuning: Body) -> int:
    """Return 1 when a higher objective is better, otherwise -1."""
    return (
        1 if tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["Type"] == "Maximize" else -1
    )


def summary(tuning: Body, job: Body) -> Body:
    """Return a ``HyperParameterTrainingJobSummary``."""
    value = objective_value(tuning, job)
    objective = tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    return {
        **job,
        "TrainingJobDefinitionName": tuning["TrainingJobDefinition"].get("DefinitionName"),
        "TuningJobName": tuning["HyperParameterTuningJobName"],
        "TunedHyperParameters": job["_Tuned"],
        "FinalHyperParameterTuningJobObjectiveMetric": None
        if value is None or job["TrainingJobStatus"] in RUNNING
        else {"MetricName": objective["MetricName"], "Value": value},
        "ObjectiveStatus": objective_status(tuning, job),
    }


def objective_status(tuning: Body, job: Body) -> str:
    """Return whether a job's objective counts."""
    if job["TrainingJobStatus"] in RUNNING:
        return "Pending"
    failed = job["TrainingJobStatus"] == "Failed" or objective_value(tuning, job) is None
    return "Failed" if failed else "Succeeded"


def results_in_order(tuning: Body, jobs: Sequence[Body]) -> list[tuple[Body, float]]:
    """Return the jobs whose objective counts, with a value of which higher is better, in the order they were begun."""
    good = [job for job in jobs if objective_status(tuning, job) == "Succeeded"]
    return [(job, direction(tuning) * (objective_value(tuning, job) or 0.0)) for job in good]


def not_improving(results: Sequence[tuple[Body, float]]) -> int:
    """Return how many jobs came after the best one."""
    if not results:
        return 0
    values = [value for _, value in results]
    return len(values) - 1 - values.index(max(values))


def progress(tuning: Body, jobs: Sequence[Body]) -> Body:
    """Return what a tuning job's description says of its training jobs."""
    statuses = [job["TrainingJobStatus"] for job in jobs]
    objectives = [objective_status(tuning, job) for job in jobs]
    results = results_in_order(tuning, jobs)
    return {
        "TrainingJobStatusCounters": {
            "Completed": statuses.count("Completed"),
            "InProgress": sum(status in RUNNING for status in statuses),
            "RetryableError": 0,
            "NonRetryableError": statuses.count("Failed"),
            "Stopped": statuses.count("Stopped"),
        },
        "ObjectiveStatusCounters": {status: objectives.count(status) for status in ("Succeeded", "Pending", "Failed")},
        "BestTrainingJob": best_of(tuning, jobs),
        "TuningJobCompletionDetails": {"NumberOfTrainingJobsObjectiveNotImproving": not_improving(results)},
    }


SHOWN_OF_BEST = (
    "TrainingJobName",
    "TrainingJobArn",
    "TuningJobName",
    "CreationTime",
    "TrainingStartTime",
    "TrainingEndTime",
    "TrainingJobStatus",
    "TrainingJobDefinitionName",
    "TunedHyperParameters",
    "FinalHyperParameterTuningJobObjectiveMetric",
    "ObjectiveStatus",
)


def best_of(tuning: Body, jobs: Sequence[Body]) -> Body | None:
    """Return the summary of the best of a tuning job's training jobs, or None when none counts."""
    results = results_in_order(tuning, jobs)
    if not results:
        return None
    shown = summary(tuning, max(results, key=lambda result: result[1])[0])
    return {member: shown[member] for member in SHOWN_OF_BEST if shown.get(member) is not None}


def better_of(tuning: Body, *candidates: Body | None) -> Body | None:
    """Return the better of some summaries of training jobs."""
    metric = "FinalHyperParameterTuningJobObjectiveMetric"
    found = [candidate for candidate in candidates if candidate]
    return max(found, key=lambda each: direction(tuning) * each[metric]["Value"], default=None)
