"""What a search of ours asks SageMaker for. Pure: sending it is ``aws.tuning_jobs``."""

from typing import TYPE_CHECKING, Literal

from ml_platform.core import names
from ml_platform.core.settings import Settings
from ml_platform.modeling.contract import TRIAL_OBJECTIVE as OBJECTIVE
from ml_platform.training.job_request import metric_definition, training_job_request
from ml_platform.training.search_space import Choices, Range, SearchBudget, SearchSpace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_sagemaker.type_defs import (
        CreateHyperParameterTuningJobRequestTypeDef,
        HyperParameterTrainingJobDefinitionTypeDef,
        ParameterRangesTypeDef,
    )


def tuning_job_request(
    settings: Settings,
    *,
    model: str,
    fingerprint: str,
    channels: "Mapping[str, str]",
    hyperparameters: "Mapping[str, str]",
    space: SearchSpace,
    budget: SearchBudget,
) -> "CreateHyperParameterTuningJobRequestTypeDef":
    """Build the request for the tuning job whose inputs have this fingerprint.

    Args:
        settings: Role, image, instance type, region and bucket.
        model: Our name of the model.
        fingerprint: Over everything the outcome depends on; the job's name is made of it.
        channels: Channel name to the S3 address of its prefix: training rows and code, nothing that judges later.
        hyperparameters: What all trials have in common.
        space: What they differ in.
        budget: Limits in jobs and time.
    """
    return {
        "HyperParameterTuningJobName": names.tuning_job(model, fingerprint),
        "HyperParameterTuningJobConfig": {
            "Strategy": space.strategy,
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": OBJECTIVE},
            "ResourceLimits": {
                "MaxNumberOfTrainingJobs": budget.max_jobs,
                "MaxParallelTrainingJobs": budget.parallel_jobs,
                "MaxRuntimeInSeconds": budget.max_seconds,
            },
            "ParameterRanges": parameter_ranges(space),
            "TrainingJobEarlyStoppingType": "Auto" if space.early_stopping else "Off",
            "RandomSeed": space.seed,
        },
        "TrainingJobDefinition": _definition(settings, model, fingerprint, channels, hyperparameters, budget),
        "Tags": [{"Key": "ml-platform:model", "Value": model}],
    }


def parameter_ranges(space: SearchSpace) -> "ParameterRangesTypeDef":
    """Return the ranges as SageMaker wants them: all values as strings."""
    named = sorted(space.parameters.items())
    return {
        "ContinuousParameterRanges": [
            {"Name": name, "MinValue": repr(it.least), "MaxValue": repr(it.most), "ScalingType": _scaling(it)}
            for name, it in named
            if isinstance(it, Range) and not it.whole
        ],
        "IntegerParameterRanges": [
            {"Name": name, "MinValue": str(int(it.least)), "MaxValue": str(int(it.most)), "ScalingType": _scaling(it)}
            for name, it in named
            if isinstance(it, Range) and it.whole
        ],
        "CategoricalParameterRanges": [
            {"Name": name, "Values": list(it.values)} for name, it in named if isinstance(it, Choices)
        ],
    }


def _scaling(declared: Range) -> Literal["Logarithmic", "Linear"]:
    return "Logarithmic" if declared.logarithmic else "Linear"


def _definition(  # the parts of one definition
    settings: Settings,
    model: str,
    fingerprint: str,
    channels: "Mapping[str, str]",
    hyperparameters: "Mapping[str, str]",
    budget: SearchBudget,
) -> "HyperParameterTrainingJobDefinitionTypeDef":
    """Return what each trial is: a training job like any other, which SageMaker names and gives its parameters."""
    job = training_job_request(
        settings,
        model=model,
        fingerprint=fingerprint,
        channels=channels,
        hyperparameters=hyperparameters,
        metrics=(OBJECTIVE,),
    )
    return {
        "StaticHyperParameters": job["HyperParameters"],
        "AlgorithmSpecification": {
            "TrainingImage": settings.training_image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [metric_definition(OBJECTIVE)],
        },
        "RoleArn": job["RoleArn"],
        "InputDataConfig": job["InputDataConfig"],
        "OutputDataConfig": {
            "S3OutputPath": f"s3://{settings.bucket}/{names.model_prefix(model, 'trials').rstrip('/')}"
        },
        "ResourceConfig": job["ResourceConfig"],
        "StoppingCondition": {"MaxRuntimeInSeconds": budget.max_trial_seconds},
    }
