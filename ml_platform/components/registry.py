"""Register a candidate that earned promotion; a person, or the gate when settings say so, approves it."""

import dagster as dg

from ml_platform.components.automation import when_upstream_is_good
from ml_platform.components.metadata import link, numbers
from ml_platform.components.origin import declared_by, origin_of_candidate
from ml_platform.components.settings import ModelSettings
from ml_platform.core.clock import utc_now
from ml_platform.evaluation.evidence import SEAL, PromotionEvidence
from ml_platform.registry.dossier import EvidenceError
from ml_platform.resources.evidence import CARD_PAGE, DEPENDENCIES
from ml_platform.resources.feature_store import FeatureStore
from ml_platform.resources.model_evaluator import ModelEvaluator
from ml_platform.resources.sagemaker import SageMaker


def build_model_package(model: ModelSettings, evaluation_report: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Return the asset ``model_package``."""
    declared = declared_by(model)

    @dg.asset(
        key=[model.name, "model_package"],
        deps=[evaluation_report],
        group_name="registry",
        kinds={"sagemaker"},
        owners=[model.owner],
        tags={"model": model.name},
        # The command line holds evidence against the policies that are declared now.
        metadata={"policies": dg.MetadataValue.json(dict(declared.policies))},
        automation_condition=when_upstream_is_good(),
        description="The candidate in the model registry, with its evidence and lineage; pending until approved.",
    )
    def model_package(
        context: dg.AssetExecutionContext,
        feature_store: FeatureStore,
        sagemaker: SageMaker,
        model_evaluator: ModelEvaluator,
    ) -> dg.MaterializeResult:
        evidence = model_evaluator.evidence(model.name)
        _require_untouched(context, evidence, evaluation_report.key)
        package = sagemaker.register(
            evidence,
            sagemaker.candidate(model.name),
            feature_store.training_set(model.name),
            declared,
            origin_of_candidate(context, model.name, sagemaker.settings, utc_now()),
        )
        sagemaker.manifests(model.name).write("model_package", package)
        return dg.MaterializeResult(
            metadata={
                "version": package.version,
                # Of this run: what was decided since is in the registry.
                "registered_as": package.status,
                "decide_with": f"ml-platform card {model.name} --version {package.version}, then ml-platform approve "
                f"{model.name} --version {package.version}",
                "replaces": f"version {evidence.champion_version}"
                if evidence.champion_version
                else "nothing: the first",
                **numbers(evidence.figures()),
                "arn": package.arn,
                "address": link(package.artifact_uri),
                "model_card": link(package.properties[CARD_PAGE]),
                "dependency_list": link(package.properties[DEPENDENCIES]),
            }
        )

    return model_package


def _require_untouched(context: dg.AssetExecutionContext, evidence: PromotionEvidence, report: dg.AssetKey) -> None:
    """Refuse a report that is not the one whose seal the run that judged left in Dagster's own storage."""
    event = context.instance.get_latest_materialization_event(report)
    judged = event.asset_materialization.metadata if event and event.asset_materialization else {}
    if event is not None and SEAL in judged and judged[SEAL].value != evidence.seal:
        raise EvidenceError(
            f"The report of {report.to_user_string()} in S3 is not the one that run {event.run_id[:8]} left: it was "
            "changed, or a later run died. Nothing was registered. Materialize it again, and look at who may write it."
        )
