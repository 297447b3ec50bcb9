"""All operations of the stand-in: importing this module registers every one of them."""

from ml_platform.local_sagemaker import (
    events,
    hosting,
    model_cards,
    model_packages,
    models,
    pipelines,
    processing,
    registry,
    search,
    tags,
    training,
    transform,
)
from ml_platform.local_sagemaker.cloudwatch.monitoring import monitoring_of
from ml_platform.local_sagemaker.lineage import associations, entities, queries
from ml_platform.local_sagemaker.service import OPERATIONS, Service
from ml_platform.local_sagemaker.tuning import jobs as tuning_jobs

__all__ = ["IMPLEMENTED", "recover"]

MODULES = (
    associations,
    entities,
    hosting,
    model_cards,
    model_packages,
    models,
    pipelines,
    processing,
    queries,
    registry,
    search,
    tags,
    training,
    transform,
    tuning_jobs,
)
IMPLEMENTED = OPERATIONS


async def recover(service: Service) -> None:
    """Bring everything back after a stop or a crash: lost jobs end as failed, endpoints serve again."""
    events.attach(service)
    monitoring_of(service)
    for module in (training, processing, transform, tuning_jobs, hosting):
        await module.recover(service)
