"""Tracking: the candidate's MLflow run, linked with Dagster's run and the model package, both ways."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict

from ml_platform.aws import model_packages, training_jobs
from ml_platform.core import names
from ml_platform.resources.platform import PlatformResource

if TYPE_CHECKING:
    from ml_platform.aws.model_packages import ModelPackage
    from ml_platform.evaluation.evidence import PromotionEvidence
    from ml_platform.tracking.candidate_run import CandidateRun
    from ml_platform.training.run import Candidate


class ExperimentRun(BaseModel):
    """Where a candidate's run is."""

    model_config = ConfigDict(frozen=True)

    candidate_fingerprint: str
    run_id: str
    url: str
    package_version: int | None
    written: bool


class ExperimentTracking(PlatformResource):
    """Runs in MLflow. It is imported where it is used: it takes more than a second."""

    def track(
        self, model: str, *, declared: Mapping[str, Any], dagster_run: str, plots: Mapping[str, str]
    ) -> ExperimentRun:
        """Write the run of the model's judged candidate, or renew its links; link its package to it.

        Args:
            model: The model.
            declared: Parameters it was trained with.
            dagster_run: The run that judged it.
            plots: Plots as inline Markdown, name to text.
        """
        from ml_platform.evaluation.evidence import PromotionEvidence
        from ml_platform.registry import lookup, model_package
        from ml_platform.tracking import server
        from ml_platform.tracking.candidate_run import track
        from ml_platform.training.run import Candidate

        settings, manifests = self.settings, self.manifests(model)
        evidence = manifests.read("evaluation_report", PromotionEvidence)
        candidate = manifests.read("model_candidate", Candidate)
        group = names.model_package_group(model)
        package = lookup.find_by_fingerprint(settings.region, group, evidence.candidate_fingerprint)
        # A run may train with other parameters than those declared: the job knows.
        given = training_jobs.hyperparameters(settings.region, evidence.training_job) or declared
        uri = server.tracking_uri(settings)
        tracked = track(
            uri,
            _candidate_run(evidence, candidate, package, given, dagster_run, plots),
            server.artifact_root(settings),
        )
        url = server.run_url(uri, tracked.experiment_id, tracked.run_id)
        if package is not None and package.properties.get("mlflow_run") != tracked.run_id:
            links = model_package.allowed({"mlflow_run": tracked.run_id, "mlflow_url": url})
            model_packages.set_properties(settings.region, package.arn, links)
        found = ExperimentRun(
            candidate_fingerprint=evidence.candidate_fingerprint,
            run_id=tracked.run_id,
            url=url,
            package_version=package.version if package else None,
            written=tracked.written,
        )
        manifests.write("experiment_run", found)
        return found


def _candidate_run(
    evidence: "PromotionEvidence",
    candidate: "Candidate",
    package: "ModelPackage | None",
    declared: Mapping[str, Any],
    dagster_run: str,
    plots: Mapping[str, str],
) -> "CandidateRun":
    from ml_platform.tracking.candidate_run import CandidateRun

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
            **(
                {"sagemaker.model_package": package.arn, "sagemaker.package_version": str(package.version)}
                if package
                else {}
            ),
            "gate": "; ".join(evidence.failures) or "passed",
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
