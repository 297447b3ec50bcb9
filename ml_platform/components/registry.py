"""Register a candidate that earned promotion; a person, or the gate when settings say so, approves it."""

import dagster as dg

from ml_platform.components.automation import when_upstream_is_good
from ml_platform.components.metadata import link, numbers
from ml_platform.components.settings import ModelSettings
from ml_platform.resources.model_evaluator import ModelEvaluator
from ml_platform.resources.sagemaker import SageMaker


def build_model_package(model: ModelSettings, evaluation_report: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Return the asset ``model_package``."""

    @dg.asset(
        key=[model.name, "model_package"],
        deps=[evaluation_report],
        group_name="registry",
        kinds={"sagemaker"},
        owners=[model.owner],
        tags={"model": model.name},
        automation_condition=when_upstream_is_good(),
        description="The candidate in the model registry, with its evidence and lineage; pending until approved.",
    )
    def model_package(sagemaker: SageMaker, model_evaluator: ModelEvaluator) -> dg.MaterializeResult:
        evidence = model_evaluator.evidence(model.name)
        manifests = sagemaker.manifests(model.name)
        package = sagemaker.register(
            evidence, sagemaker.candidate(model.name), manifests.store.uri(manifests.key("evaluation_report"))
        )
        manifests.write("model_package", package)
        return dg.MaterializeResult(
            metadata={
                "version": package.version,
                "approval_status": package.status,
                **numbers(evidence.figures()),
                "arn": package.arn,
                "address": link(package.artifact_uri),
            }
        )

    return model_package
