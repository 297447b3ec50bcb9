"""Tracking: the candidate's MLflow run, linked with Dagster's run and the model package, both ways.

A run is kept in the bucket until MLflow has it. An MLflow that is away costs a few seconds and no record: what it
missed is sent with the next candidate, or when ``experiment_run`` is materialized again.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.aws import model_packages, training_jobs
from ml_platform.core import names
from ml_platform.registry import model_package
from ml_platform.registry.approval import TRAINED_BY
from ml_platform.resources.evidence import PackageEvidence
from ml_platform.resources.platform import PlatformResource
from ml_platform.tracking.candidate_run import CandidateRun, TrackedRun, TrackingError, track

if TYPE_CHECKING:
    from ml_platform.aws.model_packages import ModelPackage
    from ml_platform.evaluation.evidence import PromotionEvidence
    from ml_platform.training.run import Candidate


WAITING = "untracked-runs"


class ExperimentRun(BaseModel):
    """Where a candidate's run is."""

    model_config = ConfigDict(frozen=True)

    candidate_fingerprint: str
    run_id: str | None = Field(description="None: MLflow does not have it yet.")
    url: str
    package_version: int | None
    written: bool
    waiting: tuple[str, ...] = Field(default=(), description="Candidates whose runs MLflow does not have yet.")
    problem: str | None = None


class ExperimentTracking(PlatformResource):
    """Runs in MLflow. It is imported where it is used: it takes more than a second."""

    def track(
        self, model: str, *, declared: Mapping[str, Any], dagster_run: str, plots: Mapping[str, str]
    ) -> ExperimentRun:
        """Write the run of the model's judged candidate, or renew its links; then what MLflow missed before.

        Args:
            model: The model.
            declared: Parameters it was trained with.
            dagster_run: The run that judged it.
            plots: Plots as inline Markdown, name to text.
        """
        from ml_platform.evaluation.evidence import PromotionEvidence
        from ml_platform.training.run import Candidate

        manifests = self.manifests(model)
        evidence = manifests.read("evaluation_report", PromotionEvidence)
        candidate = manifests.read("model_candidate", Candidate)
        # A run may train with other parameters than those declared: the job knows.
        given = training_jobs.hyperparameters(self.settings.region, evidence.training_job) or declared
        judged = _candidate_run(evidence, candidate, given, dagster_run, plots)
        self.store.put(_waiting_key(judged), judged.model_dump_json().encode(), "application/json")
        found = self._send(judged)
        if found.problem is None:
            for key in list(self.store.keys(names.model_prefix(model, WAITING))):
                missed = self._send(CandidateRun.model_validate_json(self.store.get(key)))
                found = found.model_copy(update={"problem": found.problem or missed.problem})
        left = self.store.keys(names.model_prefix(model, WAITING))
        found = found.model_copy(
            update={"waiting": tuple(key.rpartition("/")[2].removesuffix(".json") for key in left)}
        )
        manifests.write("experiment_run", found)
        return found

    def _send(self, run: CandidateRun) -> ExperimentRun:
        """Bring a run to MLflow and link its package to it; the run waits on when MLflow does not take it."""
        from ml_platform.registry import lookup
        from ml_platform.tracking import server

        settings, uri = self.settings, server.tracking_uri(self.settings)
        package = lookup.find_by_fingerprint(settings.region, names.model_package_group(run.model), run.fingerprint)
        version = package.version if package else None
        try:
            tracked = track(uri, _linked(run, package), server.artifact_root(settings))
        except TrackingError as error:
            return ExperimentRun(
                candidate_fingerprint=run.fingerprint,
                run_id=None,
                url=server.without_secrets(uri),
                package_version=version,
                written=False,
                problem=str(error),
            )
        if package is not None:
            self._link(run.model, package, server.without_secrets(uri), tracked)
        self.store.delete([_waiting_key(run)])
        return ExperimentRun(
            candidate_fingerprint=run.fingerprint,
            run_id=tracked.run_id,
            url=server.run_url(uri, tracked.experiment_id, tracked.run_id),
            package_version=version,
            written=tracked.written,
        )

    def _link(self, model: str, package: "ModelPackage", server_uri: str, tracked: TrackedRun) -> None:
        """Let a package say where its run is: in parts, for a property cannot hold the ``#`` of MLflow's addresses."""
        links = model_package.allowed(
            {"mlflow_run": tracked.run_id, "mlflow_experiment": tracked.experiment_id, "mlflow_server": server_uri}
        )
        if any(package.properties.get(name) != value for name, value in links.items()):
            model_packages.set_properties(self.settings.region, package.arn, links)
            linked = model_package.existing(self.settings.region, package.arn)
            PackageEvidence(self.settings, model).renew_card(linked)


def _waiting_key(run: CandidateRun) -> str:
    return f"{names.model_prefix(run.model, WAITING)}{run.fingerprint}.json"


def _linked(run: CandidateRun, package: "ModelPackage | None") -> CandidateRun:
    """Return a run with the link to its package as it is now: it may have waited since before its registration."""
    if package is None:
        return run
    link = {
        "sagemaker.model_package": package.arn,
        "sagemaker.package_version": str(package.version),
        "mlflow.user": package.properties.get(TRAINED_BY, ""),
    }
    return run.model_copy(update={"tags": {**run.tags, **link}})


def _candidate_run(
    evidence: "PromotionEvidence",
    candidate: "Candidate",
    declared: Mapping[str, Any],
    dagster_run: str,
    plots: Mapping[str, str],
) -> CandidateRun:
    same = candidate.fingerprint == evidence.candidate_fingerprint
    trained = {"training_job_arn": candidate.job_arn, "instance_type": candidate.instance_type} if same else {}
    metrics: dict[str, float | None] = {**evidence.figures(), **(candidate.metrics if same else {})}
    return CandidateRun(
        model=evidence.model,
        fingerprint=evidence.candidate_fingerprint,
        parameters={name: str(value) for name, value in declared.items()}
        | {"training_set": evidence.challenger.training_set_fingerprint},
        metrics={name.replace(":", "."): value for name, value in metrics.items()},
        tags={
            "dagster.run_id": dagster_run,
            "dagster.asset": f"{evidence.model}/evaluation_report",
            "sagemaker.training_job": evidence.training_job,
            "sagemaker.artifact": evidence.artifact_uri,
            **trained,
            "gate": "; ".join(evidence.failures) or "passed",
            # What MLflow's own pages show above the figures.
            "mlflow.source.name": f"Dagster run {dagster_run}",
            "mlflow.note.content": f"The gate: {'; '.join(evidence.failures) or 'passed'}.",
        },
        texts={"evidence.json": evidence.model_dump_json(indent=1), **_images(plots)},
        started_at=(candidate.started_at if same else None) or evidence.decided_at,
        ended_at=evidence.decided_at,
    )


def _images(plots: Mapping[str, str]) -> dict[str, str]:
    """Return the pictures in inline Markdown as SVG files."""
    files = {}
    for name, markdown in plots.items():
        _, found, image = markdown.partition("data:image/svg+xml,")
        if found:
            files[f"plots/{name}.svg"] = unquote(image.rstrip(") \n"))
    return files
