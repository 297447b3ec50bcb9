"""SageMaker as the graph uses it: train, register, deploy, score a batch."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import dagster as dg

from ml_platform.aws.model_packages import ModelPackage
from ml_platform.core import names
from ml_platform.core.errors import MLPlatformError
from ml_platform.core.settings import Settings
from ml_platform.resources.platform import PlatformResource

if TYPE_CHECKING:
    import polars as pl
    from mypy_boto3_sagemaker.type_defs import CreateTrainingJobRequestTypeDef, CreateTransformJobRequestTypeDef

    from ml_platform.aws.training_jobs import TrainingJob
    from ml_platform.aws.transform_jobs import TransformJob
    from ml_platform.batch.run import BatchScores
    from ml_platform.deployment.rollback import RollbackPlan
    from ml_platform.deployment.rollout import LiveEndpoint
    from ml_platform.deployment.rollout_plan import RolloutPolicy
    from ml_platform.evaluation.evidence import PromotionEvidence
    from ml_platform.features.offline.training_set_spec import TrainingSetManifest
    from ml_platform.registry.lookup import LivePackage
    from ml_platform.resources.pipes_sagemaker import PipesSageMakerClient, PipesSageMakerInvocation
    from ml_platform.training.run import Candidate


class NotPromotableError(MLPlatformError):
    """The evidence does not allow what was asked for."""


class SageMaker(PlatformResource):
    """Jobs, registry and endpoints. Every call is safe to repeat: names follow from inputs."""

    def train(
        self,
        context: dg.AssetExecutionContext,
        model: str,
        training_set: "TrainingSetManifest",
        *,
        model_parameters: Mapping[str, Any],
        seed: int,
        shuffle_labels: bool,
    ) -> "tuple[Candidate, PipesSageMakerInvocation]":
        """Return the candidate for these inputs and what its job reported; a job that did it before is adopted.

        Raises:
            dagster.Failure: When the job did not complete.
        """
        from ml_platform.modeling.hyperparameters import HyperParameters
        from ml_platform.training import run

        hyperparameters = HyperParameters(
            features=training_set.features,
            model_parameters=dict(model_parameters),
            seed=seed,
            shuffle_labels=shuffle_labels,
            fingerprint=training_set.fingerprint,
        )
        channels: dict[str, str] = {name: split.uri for name, split in training_set.splits.items() if name != "holdout"}
        inputs = run.TrainingInputs(model, channels, training_set.fingerprint, hyperparameters)
        settings, store = self.settings, self.store
        invocations: list[PipesSageMakerInvocation] = []

        def run_job(request: "CreateTrainingJobRequestTypeDef") -> "TrainingJob":
            invocation = self._pipes(settings).run(
                context=context,
                kind="training",
                params=request,
                usable=lambda job: run.has_artifact(store, job),
            )
            invocations.append(invocation)
            return cast("TrainingJob", invocation.job)

        candidate = run.train_by(run_job, settings, store, inputs)
        return candidate, invocations[0]

    @staticmethod
    def _pipes(settings: Settings) -> "PipesSageMakerClient":
        from ml_platform.resources.pipes_retries import PATIENT
        from ml_platform.resources.pipes_sagemaker import PipesSageMakerClient
        from ml_platform.resources.sagemaker_prices import prices

        return PipesSageMakerClient(
            settings.region,
            poll_interval=settings.poll_seconds,
            retries=PATIENT,
            prices=prices(settings.prices_file),
        )

    def register(self, evidence: "PromotionEvidence", candidate: "Candidate", report_uri: str) -> ModelPackage:
        """Register a candidate that passed the gate.

        Raises:
            NotPromotableError: When the evidence is about another candidate, or speaks against this one.
        """
        from ml_platform.registry.model_package import Submission, register

        if evidence.candidate_fingerprint != candidate.fingerprint:
            raise NotPromotableError(
                f"The evaluation report is about {evidence.candidate_fingerprint[:12]}, the candidate is "
                f"{candidate.fingerprint[:12]}. Materialize {candidate.model}/evaluation_report for this candidate."
            )
        if not evidence.verdict.passed:
            raise NotPromotableError(
                f"The promotion gate stopped {candidate.fingerprint[:12]}: {'; '.join(evidence.failures)}."
            )
        headline = ("average_precision", "roc_auc", "card_precision_at_100", "calibration_error")
        figures = {name: getattr(evidence.challenger, name) for name in headline}
        return register(
            self.settings,
            Submission(
                model=candidate.model,
                artifact_uri=candidate.artifact_uri,
                fingerprint=candidate.fingerprint,
                training_job=candidate.job_name,
                training_set_fingerprint=candidate.training_set_fingerprint,
                report_uri=report_uri,
                metrics={name: value for name, value in figures.items() if value is not None},
            ),
            approve_because="passed the promotion gate" if self.settings.approve_by_gate else None,
        )

    def candidate(self, model: str) -> "Candidate":
        """Return the model's candidate, as its asset left it."""
        from ml_platform.training.run import Candidate

        return self.manifests(model).read("model_candidate", Candidate)

    def registered(self, model: str) -> ModelPackage:
        """Return the package that the model's newest registration gave."""
        return self.manifests(model).read("model_package", ModelPackage)

    def latest_approved(self, model: str) -> ModelPackage | None:
        """Return the newest approved package of a model."""
        from ml_platform.registry import lookup

        return lookup.latest_approved(self.settings.region, names.model_package_group(model))

    def live_package(self, model: str) -> "LivePackage | None":
        """Return what the model's endpoint serves now: the champion."""
        from ml_platform.registry import lookup

        return lookup.live_package(self.settings.region, names.endpoint(model))

    def deploy(self, model: str, policy: "RolloutPolicy", on_progress: Callable[[str], None]) -> "LiveEndpoint":
        """Make the endpoint serve the newest approved package.

        Raises:
            NotPromotableError: When no package is approved.
        """
        from ml_platform.deployment import rollout

        package = self.latest_approved(model)
        if package is None:
            raise NotPromotableError(
                f"No package of {model} is approved. Look at its evidence, then `ml-platform approve {model}`."
            )
        return rollout.deploy(self.settings, model, package, policy, on_progress=on_progress)

    def roll_back(self, model: str, *, version: int | None, by: str, reason: str) -> "RollbackPlan":
        """Reject the live version, so that ``deploy`` brings the approved one before it; safe to repeat.

        Args:
            model: The model.
            version: The version to leave: when it is not live any more, nothing is done. None: whatever is live.
            by: Who wants it.
            reason: Why; kept with the package.

        Raises:
            NothingToRollBackToError: With the reason, and before anything is changed.
        """
        from ml_platform.deployment.rollback import apply_rollback, plan_rollback
        from ml_platform.registry import lookup

        live = self.live_package(model)
        packages = lookup.list_packages(self.settings.region, names.model_package_group(model))
        plan = plan_rollback(packages, live.package if live else None, version)
        apply_rollback(self.settings.region, plan, by=by, reason=reason)
        return plan

    def score_batch(
        self,
        context: dg.AssetExecutionContext,
        model: str,
        package: ModelPackage,
        frame: "pl.DataFrame",
        features: tuple[str, ...],
    ) -> "tuple[BatchScores, PipesSageMakerInvocation]":
        """Score rows by a transform job, or take over one that did; every row has exactly one score.

        Raises:
            dagster.Failure: When the job did not complete.
        """
        from ml_platform.batch import run

        settings, store = self.settings, self.store
        invocations: list[PipesSageMakerInvocation] = []

        def run_job(request: "CreateTransformJobRequestTypeDef") -> "TransformJob":
            invocation = self._pipes(settings).run(
                context=context,
                kind="transform",
                params=request,
                usable=lambda job: run.has_answer(store, job),
            )
            invocations.append(invocation)
            return cast("TransformJob", invocation.job)

        scores = run.score_batch_by(run_job, settings, store, run.BatchInputs(model, package, frame, features))
        return scores, invocations[0]
