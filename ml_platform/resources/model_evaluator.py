"""Evaluation of a candidate beside the champion, on the same holdout."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ml_platform.core import names
from ml_platform.core.clock import utc_now
from ml_platform.core.fingerprint import fingerprint_json
from ml_platform.evaluation.slices import PAYMENT_SLICES
from ml_platform.modeling.declared_metrics import FRAUD_METRICS
from ml_platform.resources.artifacts import load_model
from ml_platform.resources.leakage_probes import probe_candidate
from ml_platform.resources.platform import PlatformResource

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ml_platform.evaluation.comparison import Comparison
    from ml_platform.evaluation.evidence import PromotionEvidence
    from ml_platform.evaluation.gate import GatePolicy
    from ml_platform.evaluation.slices import SliceBy
    from ml_platform.features.offline.training_set_spec import TrainingSetManifest
    from ml_platform.modeling.money import MoneyParameters
    from ml_platform.modeling.pipeline import FittedPipeline
    from ml_platform.modeling.serving_cost import ServingCost
    from ml_platform.training.run import Candidate


@dataclass(frozen=True)
class Evaluation:
    """The evidence, and what it was made of: plots and explanations are drawn from the same rows and models."""

    evidence: "PromotionEvidence"
    holdout: "pd.DataFrame"
    challenger: "FittedPipeline"
    champion: "FittedPipeline | None"
    challenger_scores: "np.ndarray"
    champion_scores: "np.ndarray | None"

    @property
    def scored(self) -> "tuple[np.ndarray, np.ndarray, np.ndarray | None]":
        """Labels, the challenger's scores and the champion's, row by row."""
        return self.holdout["label"].to_numpy(), self.challenger_scores, self.champion_scores


@dataclass(frozen=True)
class Terms:
    """What a model's owner declared about how it is judged."""

    policy: "GatePolicy"
    money: "MoneyParameters | None" = None
    """With it, what both models' decisions would have cost is compared."""
    slices: "Sequence[SliceBy]" = PAYMENT_SLICES
    metrics: Sequence[str] = FRAUD_METRICS


class ModelEvaluator(PlatformResource):
    """Scores the holdout with the candidate and with what is live now, and asks the gate."""

    def evaluate(
        self,
        training_set: "TrainingSetManifest",
        candidate: "Candidate",
        terms: Terms,
        serving: "ServingCost | None" = None,
        code: Path | None = None,
    ) -> Evaluation:
        """Return the gate's evidence on a candidate.

        Args:
            training_set: Its holdout is scored, its training rows are probed for leakage.
            candidate: What would be promoted.
            terms: By which it is judged.
            serving: What the candidate costs to serve, as measured.
            code: The model's own training code, which the leakage probes run; None: the platform's fit.
        """
        from ml_platform.evaluation.evidence import PromotionEvidence
        from ml_platform.evaluation.gate import decide
        from ml_platform.evaluation.intervals import metric_intervals
        from ml_platform.evaluation.report import Asked, EvaluationReport, Role, evaluate
        from ml_platform.features.offline.payment_context import with_context
        from ml_platform.features.offline.training_set import read_split
        from ml_platform.modeling.score_stability import ScoreAgreement
        from ml_platform.registry import lookup

        policy, money = terms.policy, terms.money
        rows = read_split(self.store, training_set, "holdout")
        holdout = with_context(self.store, training_set.spec, rows).to_pandas()
        group = names.model_package_group(candidate.model)
        live = lookup.champion(self.settings.region, names.endpoint(candidate.model), group)

        def report(pipeline: "FittedPipeline", scores: "np.ndarray", role: Role, fingerprint: str) -> EvaluationReport:
            return evaluate(
                holdout,
                scores,
                model=candidate.model,
                role=role,
                fingerprint=fingerprint,
                training_set_fingerprint=training_set.fingerprint,
                created_at=utc_now(),
                asked=Asked(
                    money=money,
                    validation=self._validation_scores(training_set, pipeline),
                    slices=terms.slices,
                    min_slice_positives=policy.min_slice_positives,
                ),
                metrics=terms.metrics,
            )

        ours = load_model(self.store, candidate.artifact_uri)
        scores = ours.pipeline.score(holdout)
        challenger = report(ours.pipeline, scores, "challenger", ours.fingerprint)
        theirs, champion, champion_scores, comparison, agreement = None, None, None, None, None
        if live is not None:
            theirs = load_model(self.store, live.package.artifact_uri)
            champion_scores = theirs.pipeline.score(holdout)
            champion = report(theirs.pipeline, champion_scores, "champion", theirs.fingerprint)
            comparison = _compare(holdout, scores, champion_scores, terms)
            if comparison is not None:
                agreement = ScoreAgreement.measure(scores, champion_scores)
        train = read_split(self.store, training_set, "train").to_pandas()
        leakage = probe_candidate(ours, train, holdout, scores, policy=policy.leakage, code=code)
        labelled = training_set.splits["holdout"].labelled_by_day
        verdict = decide(challenger, champion, policy, candidate.fingerprint, comparison, leakage, serving, labelled)
        evidence = PromotionEvidence(
            model=candidate.model,
            candidate_fingerprint=candidate.fingerprint,
            artifact_uri=candidate.artifact_uri,
            training_job=candidate.job_name,
            challenger=challenger,
            champion=champion,
            champion_version=live.package.version if live else None,
            comparison=comparison,
            agreement=agreement,
            leakage=leakage,
            explained_by=ours.pipeline.explained_by,
            serving=serving,
            policies=judged_by(terms),
            intervals=metric_intervals(holdout, scores, declared=terms.metrics),
            failures=verdict.failures,
            decided_at=utc_now(),
        )
        return Evaluation(
            evidence, holdout, ours.pipeline, theirs.pipeline if theirs else None, scores, champion_scores
        )

    def _validation_scores(self, training_set: "TrainingSetManifest", pipeline: "FittedPipeline") -> "np.ndarray":
        import numpy as np

        from ml_platform.features.offline.training_set import read_split

        if "validation" not in training_set.splits:
            return np.empty(0)
        return pipeline.score(read_split(self.store, training_set, "validation").to_pandas())

    def evidence(self, model: str) -> "PromotionEvidence":
        """Return the gate's newest evidence on the model's candidate."""
        from ml_platform.evaluation.evidence import PromotionEvidence

        return self.manifests(model).read("evaluation_report", PromotionEvidence)


def judged_by(terms: Terms) -> dict[str, str]:
    """Return the fingerprints of what a candidate is judged by."""
    judges: dict[str, object] = {
        "gate policy": terms.policy.model_dump(mode="json"),
        "metrics and slices": [list(terms.metrics), [cut.model_dump(mode="json") for cut in terms.slices]],
    }
    if terms.money:
        judges["decision policy"] = terms.money.model_dump(mode="json")
    return {name: fingerprint_json(judge) for name, judge in judges.items()}


def _compare(
    holdout: "pd.DataFrame", challenger: "np.ndarray", champion: "np.ndarray", terms: Terms
) -> "Comparison | None":
    """Compare row by row; None when the scores or labels allow no comparison, which the gate counts against."""
    from ml_platform.evaluation.comparison import compare

    money, costs = terms.money, None
    if money is not None and "amount" in holdout.columns:
        costs = {
            "challenger": _costs(holdout, challenger, money),
            "champion": _costs(holdout, champion, money),
        }
    try:
        return compare(
            holdout,
            challenger,
            champion,
            costs=costs,
            slices=terms.slices,
            min_slice_positives=terms.policy.min_slice_positives,
            declared=terms.metrics,
        )
    except ValueError:
        # One class only, or scores that are no numbers: the reports give the reason.
        return None


def _costs(holdout: "pd.DataFrame", scores: "np.ndarray", money: "MoneyParameters") -> "np.ndarray":
    """What each payment would have cost, decided at the least expected cost within a day's reviews."""
    import numpy as np

    from ml_platform.modeling.decision_policy import DecisionPolicy

    amounts = holdout["amount"].to_numpy()
    usable = np.clip(np.nan_to_num(scores), 0, 1)
    decisions = DecisionPolicy.fit(
        usable,
        amounts,
        holdout["event_time"].dt.date.to_numpy(),
        model="",
        artifact_fingerprint="",
        money=money,
    )
    return money.realised(decisions.decide(usable, amounts), holdout["label"].to_numpy(), amounts)
