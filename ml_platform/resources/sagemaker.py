"""SageMaker as the graph uses it: train, register, deploy, score a batch."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

import dagster as dg

from ml_platform.aws.model_packages import ModelPackage
from ml_platform.core import names
from ml_platform.core.clock import utc_now
from ml_platform.core.settings import Settings
from ml_platform.resources.governance import acting_person
from ml_platform.resources.platform import PlatformResource
from ml_platform.resources.registration import NotPromotableError

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
    from ml_platform.modeling.hyperparameters import HyperParameters
    from ml_platform.modeling.serving_cost import ServingCost
    from ml_platform.registry.lookup import LivePackage
    from ml_platform.resources.governance import Governance
    from ml_platform.resources.package_dossier import Declared, Origin
    from ml_platform.resources.pipes.client import PipesSageMakerClient, PipesSageMakerInvocation
    from ml_platform.training.refit import Refit
    from ml_platform.training.run import Candidate, TrainingInputs
    from ml_platform.training.search import SearchResult
    from ml_platform.training.search_space import SearchBudget, SearchSpace


class SageMaker(PlatformResource):
    """Jobs, registry and endpoints. Every call is safe to repeat: names follow from inputs."""

    def train(
        self,
        context: dg.AssetExecutionContext,
        model: str,
        training_set: "TrainingSetManifest",
        hyperparameters: "HyperParameters",
        code: Path | None = None,
    ) -> "tuple[Candidate, PipesSageMakerInvocation]":
        """Return the candidate for these inputs and what its job reported; a job that did it before is adopted.

        Args:
            context: The step's context.
            model: The model.
            training_set: Its data.
            hyperparameters: How to fit.
            code: The model's own training code; None: the platform's fit.

        Raises:
            dagster.Failure: When the job did not complete.
        """
        from ml_platform.training import run

        inputs = self._training_inputs(model, training_set, hyperparameters, code)
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

    def search(
        self,
        model: str,
        training_set: "TrainingSetManifest",
        hyperparameters: "HyperParameters",
        space: "SearchSpace",
        budget: "SearchBudget",
        on_progress: Callable[[str], None],
        code: Path | None = None,
    ) -> "SearchResult":
        """Return what a search found within its budget; a search with the same inputs is adopted.

        Raises:
            ConfigurationError: When it could cost more than it may.
            JobError: When the tuning job did not complete, or no trial gave a figure.
        """
        from ml_platform.resources.sagemaker_prices import prices
        from ml_platform.training.search import SearchInputs, search

        settings = self.settings
        table = prices(settings.prices_file)
        inputs = SearchInputs(self._training_inputs(model, training_set, hyperparameters, code), space, budget)
        return search(
            settings,
            inputs,
            lambda instance, seconds: table.estimate(settings.region, instance, 1, seconds),
            on_progress=on_progress,
        )

    def refit(self, model: str, on_log: Callable[[str], None], *, as_job: bool = False) -> "Refit":
        """Fit the model's candidate again and compare the bytes.

        Args:
            model: The model.
            on_log: Gets the container's lines.
            as_job: By a SageMaker training job, instead of a process on this machine.

        Raises:
            ArtifactError: When the candidate's artifact cannot be read.
            JobFailedError: When the second fit failed.
        """
        from ml_platform.training.refit import refit
        from ml_platform.training.refit_runs import as_a_job, in_a_process

        store = self.store
        fit_again = as_a_job(self.settings, store, model, on_log) if as_job else in_a_process(store, model, on_log)
        return refit(store, model, self.candidate(model).artifact_uri, fit_again)

    def _training_inputs(
        self, model: str, training_set: "TrainingSetManifest", hyperparameters: "HyperParameters", code: Path | None
    ) -> "TrainingInputs":
        """Return a fit's inputs, its code kept in S3 first. The holdout is no channel: it judges."""
        from ml_platform.modeling.contract import CODE_CHANNEL
        from ml_platform.training.code import store_code
        from ml_platform.training.run import TrainingInputs

        channels: dict[str, str] = {name: split.uri for name, split in training_set.splits.items() if name != "holdout"}
        if code is not None:
            stored = store_code(self.store, model, code)
            channels[CODE_CHANNEL] = stored.uri
            hyperparameters = hyperparameters.model_copy(update={"code": stored.digest})
        return TrainingInputs(model, channels, training_set.fingerprint, hyperparameters)

    def measure_serving(self, context: dg.AssetExecutionContext, candidate: "Candidate") -> "ServingCost":
        """Return what a candidate costs to serve, measured by a job in the serving image; an earlier one is adopted.

        Raises:
            dagster.Failure: When the job did not complete.
        """
        from dagster_aws.pipes import PipesS3ContextInjector

        from ml_platform.aws import clients
        from ml_platform.deployment.measuring_request import measuring_job_request, result_key
        from ml_platform.modeling.serving_cost import ServingCost

        key = result_key(candidate.model, candidate.fingerprint)
        pipes = self._pipes(self.settings)
        # It leaves a file. Waiting for messages that never come took ten seconds of every candidate.
        pipes.container_reports = False
        # SageMaker allows a processing job's environment 256 characters: the address of the context, not the context.
        pipes.context_injector = PipesS3ContextInjector(
            client=clients.s3(self.settings.region), bucket=self.settings.bucket, key_prefix="pipes"
        )
        pipes.run(
            context=context,
            kind="processing",
            params=measuring_job_request(
                self.settings,
                model=candidate.model,
                fingerprint=candidate.fingerprint,
                artifact_uri=candidate.artifact_uri,
            ),
            usable=lambda _: self.store.exists(key),
        )
        return ServingCost.model_validate_json(self.store.get(key))

    @staticmethod
    def _pipes(settings: Settings) -> "PipesSageMakerClient":
        from ml_platform.resources.pipes.client import PipesSageMakerClient
        from ml_platform.resources.pipes.retries import PATIENT
        from ml_platform.resources.sagemaker_prices import prices

        return PipesSageMakerClient(
            settings.region,
            poll_interval=settings.poll_seconds,
            retries=PATIENT,
            prices=prices(settings.prices_file),
        )

    def register(
        self,
        evidence: "PromotionEvidence",
        candidate: "Candidate",
        training_set: "TrainingSetManifest",
        declared: "Declared",
        origin: "Origin",
    ) -> ModelPackage:
        """Register a candidate that passed the gate; raises like ``registration.register``."""
        from ml_platform.resources import registration

        return registration.register(
            self.governance(candidate.model), evidence, candidate, training_set, declared, origin
        )

    def governance(self, model: str) -> "Governance":
        """Return the governance of a model's packages."""
        from ml_platform.resources.governance import Governance

        return Governance(self.settings, model)

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

    def live_arn(self, model: str) -> str | None:
        """Return the ARN of the package that the model's endpoint serves, in the registry or not."""
        from ml_platform.registry import lookup

        return lookup.live_arn(self.settings.region, names.endpoint(model))

    def deploy(
        self,
        model: str,
        policy: "RolloutPolicy",
        on_progress: Callable[[str], None],
        policies: Mapping[str, str] | None = None,
        *,
        returning: bool = False,
    ) -> "LiveEndpoint":
        """Make the endpoint serve the newest approved package.

        Args:
            model: The model.
            policy: How carefully.
            on_progress: Told what happens.
            policies: Fingerprints of the policies declared now; an approval on others is void.
            returning: This is a rollback: what became stale since is no reason to keep a worse model live.

        Raises:
            NotPromotableError: When no package is approved.
            StaleEvidenceError: When the approval expired, or its evidence is stale.
        """
        from ml_platform.deployment import rollout

        package = self.latest_approved(model)
        if package is None:
            raise NotPromotableError(
                f"No package of {model} is approved. Look at its evidence, then `ml-platform approve {model}`."
            )
        governance = self.governance(model)
        if not returning and self.live_arn(model) != package.arn:
            governance.require_deployable(package, policies, at=utc_now())
        live = rollout.deploy(self.settings, model, package, policy, on_progress=on_progress)
        governance.record_deployment(package, by=acting_person(self.settings), changed=live.changed, at=utc_now())
        return live

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
        from ml_platform.registry import lookup, model_package

        live, at = self.live_package(model), utc_now()
        packages = lookup.list_packages(self.settings.region, names.model_package_group(model))
        plan = plan_rollback(packages, live.package if live else None, version)
        apply_rollback(self.settings.region, plan, by=by, reason=reason, decided=model_package.decided(by, at))
        self.governance(model).record_rollback(plan.leaves, plan.set_aside, by=by, reason=reason, at=at)
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
