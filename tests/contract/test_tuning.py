"""Hyper-parameter tuning through unmodified boto3: real training jobs, the best one found, and every way to end."""

import json
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.sagemaker_requests import REGISTRY, training_job, unique, wait_for
from tests.contract.test_restart import running

IMAGE = f"{REGISTRY}/test-tunable:latest"
SCRIPT = Path(__file__).parent / "images" / "tunable.py"
X = {"Name": "x", "MinValue": "0", "MaxValue": "1", "ScalingType": "Linear"}
HYPERBAND = {
    "Strategy": "Hyperband",
    "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 100}},
}
KINDS = {"Name": "kind", "Values": ["a", "b"]}


@pytest.fixture
def sagemaker(sagemaker_settings: Settings, images_file: Path) -> Any:
    images = json.loads(images_file.read_text())
    images_file.write_text(json.dumps(images | {IMAGE: {"train": [sys.executable, str(SCRIPT), "train"]}}))
    return boto3.client("sagemaker")


@pytest.fixture
def bucket(sagemaker_settings: Settings) -> str:
    return sagemaker_settings.bucket


def tuning_job(bucket: str, name: str, static: dict[str, str] | None = None, **config: Any) -> dict[str, Any]:
    """A request that AWS would accept: two jobs at random, one after the other."""
    definition = training_job(bucket, name)
    del definition["TrainingJobName"], definition["HyperParameters"]
    definition["AlgorithmSpecification"] = {
        "TrainingImage": IMAGE,
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": "objective=([0-9.e-]+);"}],
    }
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1},
            "ParameterRanges": {"ContinuousParameterRanges": [X]},
            "RandomSeed": 7,
        }
        | config,
        "TrainingJobDefinition": definition | {"StaticHyperParameters": static or {}},
    }


def limits(jobs: int, parallel: int) -> dict[str, int]:
    return {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": parallel}


def ended(sagemaker: Any, name: str) -> dict[str, Any]:
    return wait_for(
        lambda: sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name),
        lambda job: job["HyperParameterTuningJobStatus"] not in ("InProgress", "Stopping"),
        30,
    )


def children(sagemaker: Any, name: str, **request: Any) -> list[dict[str, Any]]:
    pages = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=name, **request
    )
    return [job for page in pages for job in page["TrainingJobSummaries"]]


def test_the_best_of_real_training_jobs_is_found(sagemaker: Any, bucket: str) -> None:
    name = unique("tune")
    whole = {"Name": "depth", "MinValue": "1", "MaxValue": "64", "ScalingType": "Logarithmic"}
    ranges = {
        "ContinuousParameterRanges": [X],
        "IntegerParameterRanges": [whole],
        "CategoricalParameterRanges": [KINDS],
    }
    request = tuning_job(bucket, name, {"steps": "1"}, ParameterRanges=ranges, ResourceLimits=limits(4, 2))
    arn = sagemaker.create_hyper_parameter_tuning_job(**request)["HyperParameterTuningJobArn"]
    assert arn.endswith(f":hyper-parameter-tuning-job/{name}")
    job = ended(sagemaker, name)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Completed"] == job["ObjectiveStatusCounters"]["Succeeded"] == 4
    jobs = children(sagemaker, name, SortBy="FinalObjectiveMetricValue", SortOrder="Ascending", MaxResults=3)
    values = [each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for each in jobs]
    assert len(values) == 4
    assert values == sorted(values)
    best = job["BestTrainingJob"]
    assert best["TrainingJobName"] == jobs[0]["TrainingJobName"]
    assert best["ObjectiveStatus"] == "Succeeded"
    tuned = best["TunedHyperParameters"]
    assert 0 <= float(tuned["x"]) <= 1
    assert int(tuned["depth"]) in range(1, 65)
    child = sagemaker.describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert child["TuningJobArn"] == arn
    assert child["HyperParameters"] == tuned | {"steps": "1", "_tuning_objective_metric": "loss"}
    assert child["ModelArtifacts"]["S3ModelArtifacts"].startswith(f"s3://{bucket}/jobs/{name}-00")
    listed = sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name)["HyperParameterTuningJobSummaries"]
    assert [(each["Strategy"], each["TrainingJobStatusCounters"]["Completed"]) for each in listed] == [("Random", 4)]
    again = unique("tune")
    sagemaker.create_hyper_parameter_tuning_job(
        **tuning_job(bucket, again, {"steps": "1"}, ParameterRanges=ranges, ResourceLimits=limits(1, 1))
    )
    ended(sagemaker, again)
    first = children(sagemaker, name)[0]
    assert children(sagemaker, again)[0]["TunedHyperParameters"] == first["TunedHyperParameters"]


def test_a_grid_is_every_combination_once(sagemaker: Any, bucket: str) -> None:
    name = unique("grid")
    ranges = {"CategoricalParameterRanges": [KINDS, {"Name": "x", "Values": ["0.1", "0.3"]}]}
    grid = {"Strategy": "Grid", "ParameterRanges": ranges, "ResourceLimits": {"MaxParallelTrainingJobs": 4}}
    sagemaker.create_hyper_parameter_tuning_job(**tuning_job(bucket, name, **grid))
    job = ended(sagemaker, name)
    tried = {
        (each["TunedHyperParameters"]["kind"], each["TunedHyperParameters"]["x"]) for each in children(sagemaker, name)
    }
    assert tried == {("a", "0.1"), ("a", "0.3"), ("b", "0.1"), ("b", "0.3")}
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"kind": "a", "x": "0.3"}


def test_a_bayesian_search_learns_from_what_ended(sagemaker: Any, bucket: str) -> None:
    name = unique("bayes")
    request = tuning_job(bucket, name, Strategy="Bayesian", ResourceLimits=limits(4, 1))
    sagemaker.create_hyper_parameter_tuning_job(**request)
    job = ended(sagemaker, name)
    assert job["TrainingJobStatusCounters"]["Completed"] == 4
    *at_random, learned = [float(each["TunedHyperParameters"]["x"]) for each in children(sagemaker, name)]
    assert abs(learned - 0.3) < max(abs(x - 0.3) for x in at_random)


def test_a_job_below_the_others_median_is_stopped_early(sagemaker: Any, bucket: str) -> None:
    name = unique("early")
    grid = {
        "Strategy": "Grid",
        "ParameterRanges": {"CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b", "c", "slow"]}]},
        "ResourceLimits": {"MaxParallelTrainingJobs": 1},
        "TrainingJobEarlyStoppingType": "Auto",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
    }
    request = tuning_job(bucket, name, {"steps": "500", "pause": "0.05", "x": "0.3"}, **grid)
    sagemaker.create_hyper_parameter_tuning_job(**request)
    job = ended(sagemaker, name)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"] == {
        "Completed": 3,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 1,
    }
    [stopped] = children(sagemaker, name, StatusEquals="Stopped")
    assert stopped["TunedHyperParameters"] == {"kind": "slow"}


def test_enough_is_enough(sagemaker: Any, bucket: str) -> None:
    name = unique("target")
    criteria = {"TargetObjectiveMetricValue": 1.0}
    request = tuning_job(bucket, name, TuningJobCompletionCriteria=criteria, ResourceLimits=limits(50, 1))
    sagemaker.create_hyper_parameter_tuning_job(**request)
    job = ended(sagemaker, name)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Completed"] == 1


def test_a_search_that_no_longer_improves_ends(sagemaker: Any, bucket: str) -> None:
    name = unique("flat")
    values = {"CategoricalParameterRanges": [{"Name": "x", "Values": ["0.3", "0.4", "0.5", "0.6", "0.7", "0.8"]}]}
    patience = {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}
    request = tuning_job(
        bucket,
        name,
        Strategy="Grid",
        ParameterRanges=values,
        ResourceLimits={"MaxParallelTrainingJobs": 1},
        TuningJobCompletionCriteria=patience,
    )
    sagemaker.create_hyper_parameter_tuning_job(**request)
    job = ended(sagemaker, name)
    assert job["TrainingJobStatusCounters"]["Completed"] == 4
    assert job["TuningJobCompletionDetails"] == {"NumberOfTrainingJobsObjectiveNotImproving": 3}


def test_a_killed_stand_in_goes_on_tuning_where_it_was(
    sagemaker: Any, bucket: str, settings: Settings, images_file: Path, ground_services: str, tmp_path: Path
) -> None:
    name, home = unique("killed"), tmp_path / "stand-in"
    kinds = {"CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "slow", "b"]}]}
    request = tuning_job(
        bucket,
        name,
        {"steps": "500", "pause": "0.1"},
        Strategy="Grid",
        ParameterRanges=kinds,
        ResourceLimits={"MaxParallelTrainingJobs": 1},
    )
    with running(home, images_file, ground_services) as (process, before):
        before.create_hyper_parameter_tuning_job(**request)
        wait_for(
            lambda: [job["TrainingJobStatus"] for job in children(before, name)],
            lambda seen: seen == ["Completed", "InProgress"],
        )
        process.kill()
        process.wait()
    with running(home, images_file, ground_services) as (_, after):
        job = ended(after, name)
        assert job["HyperParameterTuningJobStatus"] == "Completed"
        seen = [(each["TunedHyperParameters"]["kind"], each["TrainingJobStatus"]) for each in children(after, name)]
        assert seen == [("a", "Completed"), ("slow", "Failed"), ("b", "Completed")]
        assert job["BestTrainingJob"]["TunedHyperParameters"] == {"kind": "a"}


def test_a_stopped_tuning_job_stops_its_training_jobs_and_can_be_deleted(sagemaker: Any, bucket: str) -> None:
    name = unique("stop")
    slow = {"CategoricalParameterRanges": [{"Name": "kind", "Values": ["slow"]}]}
    request = tuning_job(
        bucket,
        name,
        {"steps": "500", "pause": "0.1"},
        Strategy="Grid",
        ParameterRanges=slow,
        ResourceLimits={"MaxParallelTrainingJobs": 1},
    )
    sagemaker.create_hyper_parameter_tuning_job(**request)
    with pytest.raises(sagemaker.exceptions.ResourceInUse):
        sagemaker.create_hyper_parameter_tuning_job(**request)
    wait_for(lambda: children(sagemaker, name, StatusEquals="InProgress"), bool)
    with pytest.raises(ClientError, match="in status InProgress"):
        sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    job = ended(sagemaker, name)
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert job["TrainingJobStatusCounters"]["Stopped"] == 1
    child = children(sagemaker, name)[0]["TrainingJobName"]
    sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert sagemaker.describe_training_job(TrainingJobName=child)["TrainingJobStatus"] == "Stopped"


@pytest.mark.parametrize(
    ("static", "reason"),
    [({"fail": "yes"}, "No training job succeeded after 2"), ({"silent": "yes"}, "No objective metrics found")],
)
def test_a_tuning_job_without_any_result_has_failed(
    sagemaker: Any, bucket: str, static: dict[str, str], reason: str
) -> None:
    name = unique("fails")
    sagemaker.create_hyper_parameter_tuning_job(**tuning_job(bucket, name, static, ResourceLimits=limits(2, 2)))
    job = ended(sagemaker, name)
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(reason)
    assert "BestTrainingJob" not in job


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"Strategy": "Hyperband"}, "MaxResource, or the static hyper-parameter epochs"),
        (HYPERBAND | {"TrainingJobEarlyStoppingType": "Auto"}, "must be Off"),
        (HYPERBAND | {"Strategy": "Random"}, "only with strategy Hyperband"),
        ({"Strategy": "Grid"}, "categorical parameters only"),
        ({"ParameterRanges": {}}, "needs 1 to 30 parameter ranges"),
        ({"ParameterRanges": {"ContinuousParameterRanges": [X, X]}}, "only one range"),
        ({"ParameterRanges": {"ContinuousParameterRanges": [X | {"MinValue": "2"}]}}, "less than or equal"),
        ({"ParameterRanges": {"ContinuousParameterRanges": [X | {"MinValue": "low"}]}}, "must be numbers"),
        ({"ParameterRanges": {"IntegerParameterRanges": [X | {"MaxValue": "1.5"}]}}, "must be whole numbers"),
        ({"ParameterRanges": {"ContinuousParameterRanges": [X | {"ScalingType": "Logarithmic"}]}}, "greater than 0"),
        ({"ParameterRanges": {"ContinuousParameterRanges": [X | {"ScalingType": "ReverseLogarithmic"}]}}, "in \\[0, 1"),
        ({"ParameterRanges": {"ContinuousParameterRanges": [X | {"Name": "steps"}]}}, "cannot be static"),
        ({"ResourceLimits": {"MaxParallelTrainingJobs": 1}}, "MaxNumberOfTrainingJobs is required"),
        ({"ResourceLimits": limits(1, 2)}, "must not be more"),
        ({"ResourceLimits": limits(900, 2)}, "at most 750"),
        (
            {"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "other"}},
            "must be one of the training jobs' MetricDefinitions",
        ),
    ],
)
def test_a_tuning_job_that_cannot_work_is_refused(
    sagemaker: Any, bucket: str, config: dict[str, Any], message: str
) -> None:
    name = unique("bad")
    with pytest.raises(ClientError, match=message):
        sagemaker.create_hyper_parameter_tuning_job(**tuning_job(bucket, name, {"steps": "1"}, **config))
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def test_hyperband_goes_on_with_the_best_third_only(sagemaker: Any, bucket: str) -> None:
    name = unique("hyper")
    static = {"steps": "60", "pause": "0.05", "kind": "slow"}
    sagemaker.create_hyper_parameter_tuning_job(
        **tuning_job(bucket, name, static, ResourceLimits=limits(4, 4), **HYPERBAND)
    )
    job = ended(sagemaker, name)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    best, *others = children(sagemaker, name, SortBy="FinalObjectiveMetricValue", SortOrder="Ascending")
    assert (best["TrainingJobStatus"], best["TrainingJobName"]) == (
        "Completed",
        job["BestTrainingJob"]["TrainingJobName"],
    )
    assert [each["TrainingJobStatus"] for each in others] == ["Stopped"] * 3


def test_hyperband_takes_its_most_resource_from_the_epochs(sagemaker: Any, bucket: str) -> None:
    name = unique("hyper")
    request = tuning_job(bucket, name, {"epochs": "9", "steps": "1"}, Strategy="Hyperband")
    sagemaker.create_hyper_parameter_tuning_job(**request)
    config = ended(sagemaker, name)["HyperParameterTuningJobConfig"]
    assert config["StrategyConfig"]["HyperbandStrategyConfig"] == {"MinResource": 1, "MaxResource": 9}


def warm(kind: str, *parents: str) -> dict[str, Any]:
    named = [{"HyperParameterTuningJobName": parent} for parent in parents]
    return {"WarmStartConfig": {"ParentHyperParameterTuningJobs": named, "WarmStartType": kind}}


def test_a_warm_start_searches_from_its_parents_results(sagemaker: Any, bucket: str) -> None:
    parent = unique("parent")
    known = tuning_job(bucket, parent, {"steps": "1"}, ResourceLimits=limits(6, 6), RandomSeed=3)
    sagemaker.create_hyper_parameter_tuning_job(**known)
    before = ended(sagemaker, parent)["BestTrainingJob"]
    for kind in ("IdenticalDataAndAlgorithm", "TransferLearning"):
        name = unique("warm")
        request = tuning_job(bucket, name, {"steps": "1"}, Strategy="Bayesian", RandomSeed=3)
        request["TrainingJobDefinition"]["OutputDataConfig"] = known["TrainingJobDefinition"]["OutputDataConfig"]
        sagemaker.create_hyper_parameter_tuning_job(**request, **warm(kind, parent))
        job = ended(sagemaker, name)
        # Knowing six losses of the bowl, its bottom is not missed; two tries at random would be far off it.
        tried = [float(each["TunedHyperParameters"]["x"]) for each in children(sagemaker, name)]
        assert min(abs(x - 0.3) for x in tried) < 0.1
        overall = job.get("OverallBestTrainingJob")
        if kind == "TransferLearning":
            assert overall is None
        else:
            both = (before, job["BestTrainingJob"])
            metric = "FinalHyperParameterTuningJobObjectiveMetric"
            assert overall == min(both, key=lambda best: best[metric]["Value"])


def test_a_warm_start_that_aws_would_refuse_is_refused(sagemaker: Any, bucket: str) -> None:
    parent = unique("parent")
    sagemaker.create_hyper_parameter_tuning_job(**tuning_job(bucket, parent, {"steps": "1"}))
    ended(sagemaker, parent)
    identical = warm("IdenticalDataAndAlgorithm", parent)

    def refused(message: str, static: dict[str, str], start: dict[str, Any], **config: Any) -> None:
        with pytest.raises(ClientError, match=message):
            sagemaker.create_hyper_parameter_tuning_job(**tuning_job(bucket, unique("no"), static, **config), **start)

    refused("can't find a tuning job", {"steps": "1"}, warm("TransferLearning", "nobody"))
    refused("different tuning jobs", {"steps": "1"}, warm("TransferLearning", parent, parent))
    refused("number of static and tunable", {}, identical)
    refused(
        "objective metric must be the same",
        {"steps": "1"},
        identical,
        HyperParameterTuningJobObjective={"Type": "Maximize", "MetricName": "loss"},
    )
    refused("does not implement warm starts", {"steps": "1"}, identical, **HYPERBAND)
    other = tuning_job(bucket, unique("no"), {"steps": "1"})
    channel = {"ChannelName": "more", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://a/b"}}}
    other["TrainingJobDefinition"]["InputDataConfig"] = [channel]
    with pytest.raises(ClientError, match="use TransferLearning"):
        sagemaker.create_hyper_parameter_tuning_job(**other, **identical)
