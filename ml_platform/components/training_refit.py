"""The check that a candidate can be made again: same inputs, same bytes. For models that want to pay a second fit."""

import dagster as dg

from ml_platform.components.metadata import sentence, told
from ml_platform.components.settings import ModelSettings
from ml_platform.resources.sagemaker import SageMaker

REFIT_CHECK = "refit_gives_the_same_bytes"


def build_refit_check(model: ModelSettings, model_candidate: dg.AssetsDefinition) -> list[dg.AssetChecksDefinition]:
    """Return the check; none for a model that does not ask for it."""
    if not model.training.check_refit:
        return []

    @dg.asset_check(
        asset=model_candidate,
        name=REFIT_CHECK,
        description="Fitted again from its manifest, the candidate is the same to the byte.",
    )
    def refit_gives_the_same_bytes(context: dg.AssetCheckExecutionContext, sagemaker: SageMaker) -> dg.AssetCheckResult:
        done = sagemaker.refit(model.name, context.log.info, as_job=model.training.check_refit == "job")
        return dg.AssetCheckResult(
            passed=done.identical,
            description=told(done.failures),
            metadata={"reasons": sentence(done.failures), "candidate": done.fingerprint},
        )

    return [refit_gives_the_same_bytes]
