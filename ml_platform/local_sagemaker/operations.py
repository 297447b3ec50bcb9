"""All operations of the stand-in: importing this module registers every one of them."""

from ml_platform.local_sagemaker import (
    events,
    hosting,
    model_card_exports,
    model_cards,
    model_packages,
    models,
    pipelines,
    processing,
    registry,
    registry_policies,
    search,
    tags,
    training,
    transform,
)
from ml_platform.local_sagemaker.cloudwatch.monitoring import monitoring_of
from ml_platform.local_sagemaker.lineage import associations, automatic, entities, queries
from ml_platform.local_sagemaker.service import OPERATIONS, Service
from ml_platform.local_sagemaker.tuning import jobs as tuning_jobs

__all__ = ["IMPLEMENTED", "recover"]

MODULES = (
    associations,
    automatic,
    entities,
    hosting,
    model_card_exports,
    model_cards,
    model_packages,
    models,
    pipelines,
    processing,
    queries,
    registry,
    registry_policies,
    search,
    tags,
    training,
    transform,
    tuning_jobs,
)
IMPLEMENTED = OPERATIONS


# What Lists and the search for unfinished work ask for by value.
ASKED_FOR = (
    "TrainingJobStatus",
    "ProcessingJobStatus",
    "TransformJobStatus",
    "HyperParameterTuningJobStatus",
    "EndpointStatus",
    "ModelPackageGroupName",
    "ModelApprovalStatus",
    "ModelCardStatus",
    "SourceArn",
    "DestinationArn",
)


async def recover(service: Service) -> None:
    """Bring everything back after a stop or a crash: lost jobs end as failed, endpoints serve again."""
    service.store.index(ASKED_FOR)
    events.attach(service)
    automatic.attach(service)
    monitoring_of(service)
    service.spawn(service.logs.keep(), "copies of logs")
    for module in (training, processing, transform, tuning_jobs, model_card_exports, hosting):
        await module.recover(service)
