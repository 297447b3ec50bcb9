"""Evaluate the candidate beside the champion, and stop it here unless it earns promotion."""

from pathlib import Path

import dagster as dg

from ml_platform.components.automation import when_upstream_is_good
from ml_platform.components.metadata import numbers, picture, rows, sentence, told
from ml_platform.components.settings import ModelSettings
from ml_platform.components.training_parameters import training_code
from ml_platform.evaluation import plots
from ml_platform.evaluation.evidence import SEAL, PromotionEvidence
from ml_platform.evaluation.explanations import Explanations
from ml_platform.resources.feature_store import FeatureStore
from ml_platform.resources.model_evaluator import ModelEvaluator, Terms
from ml_platform.resources.model_explanations import explain_candidate
from ml_platform.resources.sagemaker import SageMaker

PROMOTION_CHECK = "challenger_earns_promotion"
REASONS_CHECK = "reasons_are_stable"


def build_evaluation_report(
    model: ModelSettings, model_candidate: dg.AssetsDefinition, folder: Path | None = None
) -> dg.AssetsDefinition:
    """Return the asset ``evaluation_report`` with its blocking check.

    Args:
        model: The model.
        model_candidate: What is judged.
        folder: The model's folder, which may hold training code of its own.
    """
    code = training_code(folder)

    @dg.asset(
        key=[model.name, "evaluation_report"],
        deps=[model_candidate],
        group_name="evaluation",
        kinds={"scikitlearn"},
        owners=[model.owner],
        tags={"model": model.name},
        automation_condition=when_upstream_is_good(),
        check_specs=[
            dg.AssetCheckSpec(
                PROMOTION_CHECK,
                asset=[model.name, "evaluation_report"],
                blocking=True,
                description="The candidate keeps every floor and is no worse than the live champion on the same rows.",
            ),
            dg.AssetCheckSpec(
                REASONS_CHECK,
                asset=[model.name, "evaluation_report"],
                description="The candidate gives the reasons that the live champion gives for the same payments.",
            ),
        ],
        description="Holdout figures of the candidate, with the champion's on the same rows beside them.",
    )
    def evaluation_report(
        context: dg.AssetExecutionContext,
        feature_store: FeatureStore,
        sagemaker: SageMaker,
        model_evaluator: ModelEvaluator,
    ) -> dg.MaterializeResult:
        candidate = sagemaker.candidate(model.name)
        measured = model.gate.max_p95_latency_ms is not None
        serving = sagemaker.measure_serving(context, candidate) if measured else None
        evaluation = model_evaluator.evaluate(
            feature_store.training_set(model.name),
            candidate,
            Terms(model.gate, model.money, model.slices, model.metrics),
            serving,
            code,
        )
        evidence = evaluation.evidence
        model_evaluator.manifests(model.name).write("evaluation_report", evidence)
        explained = explain_candidate(evaluation, model.min_reason_agreement)
        model_evaluator.manifests(model.name).write("explanations", explained)
        drawn = {name: picture(markdown) for name, markdown in plots.draw_all(*evaluation.scored).items()}
        return dg.MaterializeResult(
            metadata={
                **rows(evidence.challenger.rows),
                **numbers(evidence.figures()),
                SEAL: evidence.seal,
                **({"p95_latency_ms": serving.p95_latency_ms} if serving else {}),
                "comparison": picture(
                    plots.comparison_table(evidence.challenger, evidence.champion, evidence.comparison)
                ),
                "slices": picture(plots.slice_table(evidence.challenger.slices, evidence.comparison)),
                **drawn,
                **_money_and_stability(evidence),
                **_importance(explained),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=PROMOTION_CHECK,
                    passed=evidence.verdict.passed,
                    description=told(evidence.failures),
                    metadata={
                        "reasons": sentence(evidence.failures),
                        "candidate": evidence.candidate_fingerprint,
                        **numbers(evidence.figures()),
                        **drawn,
                    },
                ),
                dg.AssetCheckResult(
                    check_name=REASONS_CHECK,
                    passed=explained.verdict.passed,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=told(explained.failures),
                    metadata={
                        "reasons": sentence(explained.failures),
                        **numbers({"reason_agreement": explained.agreement}),
                    },
                ),
            ],
        )

    return evaluation_report


def _money_and_stability(evidence: PromotionEvidence) -> dict[str, dg.MarkdownMetadataValue | float]:
    """What the decisions cost, and whether the scores keep their distribution."""
    challenger, champion = evidence.challenger, evidence.champion
    found: dict[str, dg.MarkdownMetadataValue | float] = {}
    if (curve := challenger.cost_curve) is not None:
        before = champion.cost_curve if champion else None
        found["cost_curve"] = picture(plots.costs(curve, before))
        found["costs"] = picture(plots.cost_table(curve, before))
        found["savings_per_1000"] = curve.savings
    if (stability := challenger.stability) is not None:
        found["score_stability"] = picture(plots.stability(stability))
        found["score_psi"] = stability.holdout.psi
    if evidence.agreement is not None:
        found |= numbers({"rank_correlation": evidence.agreement.rank_correlation})
    return found


def _importance(explained: Explanations) -> dict[str, dg.MarkdownMetadataValue | dg.TableMetadataValue]:
    """What the candidate decides by: bars, and the figures with their intervals."""
    if not explained.importance:
        return {}
    table = dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    name: round(value, 5) if isinstance(value, float) else value
                    for name, value in one.model_dump().items()
                }
            )
            for one in explained.importance
        ]
    )
    return {"importance": picture(explained.chart()), "importance_with_intervals": table}
