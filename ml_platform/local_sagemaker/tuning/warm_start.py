"""Warm starts: what a tuning job learns from tuning jobs before it. Read once, when it is created.

What the search does with it is ``run`` and ``strategies``. Parents may be deleted afterwards: what was learnt stays.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev
from typing import Any

from ml_platform.local_sagemaker.jobs import RUNNING
from ml_platform.local_sagemaker.service import AwsError, Service, unsupported, validation
from ml_platform.local_sagemaker.training_status import KIND as TRAINING_KIND
from ml_platform.local_sagemaker.tuning.ranges import Point, Space, read_space
from ml_platform.local_sagemaker.tuning.trials import KIND, best_of, better_of, results_in_order

Body = dict[str, Any]
IDENTICAL = "IdenticalDataAndAlgorithm"
STRATEGIES = ("Bayesian", "Random")
MAX_PARENT_JOBS = 500


def learn(service: Service, tuning: Body) -> Body:
    """Return what a tuning job is to remember of its parents; empty when it has none.

    Raises:
        AwsError: When it cannot start from those parents.
    """
    asked = tuning.get("WarmStartConfig")
    if not asked:
        return {}
    strategy = tuning["HyperParameterTuningJobConfig"]["Strategy"]
    if strategy not in STRATEGIES:
        raise unsupported(f"warm starts of tuning jobs with strategy {strategy}")
    names = [each["HyperParameterTuningJobName"] for each in asked["ParentHyperParameterTuningJobs"]]
    if len({*names}) < len(names):
        raise validation("The parents of a warm start must be different tuning jobs.")
    parents = [_parent(service, name) for name in names]
    jobs = [
        [job for child in parent["_Children"] if (job := service.store.get(TRAINING_KIND, child))] for parent in parents
    ]
    if sum(map(len, jobs)) > MAX_PARENT_JOBS:
        raise validation(f"The parents of a warm start can have at most {MAX_PARENT_JOBS} training jobs together.")
    for parent in parents:
        _check_parent(tuning, parent)
    families = list(zip(parents, jobs, strict=True))
    learnt: Body = {"_Parents": [_results(parent, children) for parent, children in families]}
    if asked["WarmStartType"] == IDENTICAL:
        best = [best_of(parent, children) for parent, children in families]
        learnt["_ParentBest"] = better_of(tuning, *best)
    return learnt


def _parent(service: Service, name: str) -> Body:
    parent = service.store.get(KIND, name)
    if parent is None:
        raise AwsError("ResourceNotFound", f"Amazon SageMaker can't find a tuning job with the name {name}.")
    status = parent["HyperParameterTuningJobStatus"]
    if status in RUNNING:
        raise validation(f"The parent tuning job {name} is in status {status}: it must have ended.")
    return parent


def _check_parent(tuning: Body, parent: Body) -> None:
    name = parent["HyperParameterTuningJobName"]
    objectives = [
        body["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"] for body in (tuning, parent)
    ]
    if objectives[0] != objectives[1]:
        raise validation(f"The objective metric must be the same as that of the parent tuning job {name}.")
    if len(_hyper_parameters(tuning)) != len(_hyper_parameters(parent)):
        raise validation(
            f"The number of static and tunable hyper-parameters must be the same as in the parent tuning job {name}."
        )
    if tuning["WarmStartConfig"]["WarmStartType"] != IDENTICAL:
        return
    mine, theirs = tuning["TrainingJobDefinition"], parent["TrainingJobDefinition"]
    same = [
        mine.get("InputDataConfig") == theirs.get("InputDataConfig"),
        mine["AlgorithmSpecification"]["TrainingImage"] == theirs["AlgorithmSpecification"]["TrainingImage"],
    ]
    if not all(same):
        raise validation(
            f"{IDENTICAL} needs the training image and the input data of the parent tuning job {name}; use "
            "TransferLearning to start from others."
        )


def _hyper_parameters(tuning: Body) -> set[str]:
    tunable = {each.name for each in read_space(tuning["HyperParameterTuningJobConfig"]["ParameterRanges"]).parameters}
    static: set[str] = {*tuning["TrainingJobDefinition"].get("StaticHyperParameters", {})}
    return tunable | static


def _results(parent: Body, jobs: Sequence[Body]) -> list[Body]:
    static = parent["TrainingJobDefinition"].get("StaticHyperParameters", {})
    found = results_in_order(parent, jobs)
    return [{"Values": static | job["_Tuned"], "Result": result} for job, result in found]


def known_results(tuning: Body, space: Space) -> dict[Point, float | None]:
    """Return the parents' results that lie in a tuning job's own space, comparable with each other."""
    transfer = tuning.get("WarmStartConfig", {}).get("WarmStartType") != IDENTICAL
    found: dict[Point, float | None] = {}
    for family in tuning.get("_Parents", []):
        pairs = [(space.point_of(each["Values"]), each["Result"]) for each in family]
        results = {point: result for point, result in pairs if point is not None}
        found |= standardised(results) if transfer else results
    return found


def standardised(results: Mapping[Point, float | None]) -> dict[Point, float | None]:
    """Return results in deviations from their mean: other data may have another scale of the objective."""
    values = [value for value in results.values() if value is not None]
    middle, spread = (fmean(values), pstdev(values) or 1.0) if values else (0.0, 1.0)
    return {point: None if value is None else (value - middle) / spread for point, value in results.items()}
