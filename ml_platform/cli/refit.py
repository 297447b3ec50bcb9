"""``ml-platform refit``: fit a registered model again from its manifest and compare the bytes."""

import json

from ml_platform.cli.console import out, progress
from ml_platform.cli.known_models import require_model
from ml_platform.cli.package_versions import package_of
from ml_platform.cli.services import attached
from ml_platform.core.settings import Settings


def run_refit(model: str, version: int | None, *, as_job: bool, as_json: bool) -> int:
    """Fit again, say whether it is the same model and why not; return the process's exit code.

    Args:
        model: The model.
        version: Which; None: the newest.
        as_job: By a SageMaker training job, instead of a process here.
        as_json: For programs.

    Raises:
        ConfigurationError: When there is no such model or version.
    """
    from ml_platform.aws.objects import ObjectStore
    from ml_platform.training.refit import refit
    from ml_platform.training.refit_runs import as_a_job, in_a_process

    require_model(model)
    settings = Settings.load()
    with attached(settings):
        package = package_of(settings, model, version)
        where = "by a SageMaker training job" if as_job else "in a process of its own"
        progress(f"Fitting version {package.version} of {model} again, {where}")
        store = ObjectStore.from_settings(settings)
        fit_again = as_a_job(settings, store, model) if as_job else in_a_process(store, model)
        done = refit(store, model, package.artifact_uri, fit_again)
    if as_json:
        document = {**done.model_dump(mode="json"), "version": package.version, "identical": done.identical}
        out.print_json(json.dumps(document))
    elif done.identical:
        out.print(f"Version {package.version} of {model}: same inputs, [bold]same bytes[/bold].")
        for difference in done.differences:
            out.print(f"  although {difference}", markup=False, soft_wrap=True)
    else:
        verdict = "is another model" if done.refitted else "cannot be fitted again"
        out.print(f"Version {package.version} of {model} [bold]{verdict}[/bold]:")
        for reason in done.failures:
            out.print(f"  - {reason}", markup=False, soft_wrap=True)
    return 0 if done.identical else 1
