"""Where a fit is done again: in a process of its own on this machine, or as a SageMaker training job.

A process needs the right to read the rows, and answers with the libraries installed here. A job needs neither: it runs
in the image, under the role and on the rows of the first fit, and only the model's files come back.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import ml_platform
from ml_platform.aws.objects import ObjectStore
from ml_platform.core import names
from ml_platform.core.errors import JobFailedError
from ml_platform.core.fingerprint import fingerprint_json, fingerprint_parts
from ml_platform.core.settings import Settings
from ml_platform.modeling.archive import unpack_files
from ml_platform.modeling.artifact import ALLOWED, Manifest
from ml_platform.modeling.contract import BASE_DIRECTORY_VARIABLE, ContainerPaths
from ml_platform.training.job_request import training_job_request
from ml_platform.training.refit import FitAgain
from ml_platform.training.refit_inputs import channels_of, fitted_with, write_inputs
from ml_platform.training.run import container_code_fingerprint, has_artifact, run_job

TIMEOUT_SECONDS: Final = 3600
Report = Callable[[str], None]


def in_a_process(store: ObjectStore, model: str, on_log: Report = lambda _: None) -> FitAgain:
    """Fit in a process of its own, with the Python and the libraries installed here.

    Args:
        store: Bucket of training set and code.
        model: Our name of the model.
        on_log: Gets the container's lines.
    """

    def fit_again(manifest: Manifest, after: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="ml-platform-refit-") as scratch:
            paths = ContainerPaths(Path(scratch) / "ml")
            write_inputs(store, model, manifest, paths)
            _run(paths, on_log)
            shutil.copytree(paths.model, after, dirs_exist_ok=True)

    return fit_again


def as_a_job(settings: Settings, store: ObjectStore, model: str, on_log: Report = lambda _: None) -> FitAgain:
    """Fit by a SageMaker training job in the image of the first fit. The same refit has one name: it is paid once.

    Args:
        settings: Role, instance type and limits.
        store: Bucket of training set and code.
        model: Our name of the model.
        on_log: Gets the container's lines.
    """

    def fit_again(manifest: Manifest, after: Path) -> None:
        image = fitted_with(manifest).parts.get("image", settings.training_image)
        fingerprint = fingerprint_parts(
            {
                "refit of": fingerprint_json(manifest.model_dump(mode="json")),
                "image": image,
                "code": container_code_fingerprint(),
            }
        )
        request = training_job_request(
            settings.model_copy(update={"training_image": image}),
            model=model,
            fingerprint=fingerprint,
            channels=channels_of(store, model, manifest),
            hyperparameters=manifest.origin.hyperparameters,
        )
        request["TrainingJobName"] = names.refit_job(model, fingerprint)
        job = run_job(settings, store, request, on_log=on_log)
        if not has_artifact(store, job):
            raise JobFailedError(f"Training job {job.name} completed, but there is no {job.artifact_uri}. Refit again.")
        with tempfile.TemporaryDirectory(prefix="ml-platform-refit-") as scratch:
            archive = Path(scratch) / "model.tar.gz"
            store.download(store.key(job.artifact_uri), archive)
            unpack_files(archive, ALLOWED, after)

    return fit_again


def _run(paths: ContainerPaths, on_log: Report) -> None:
    """Run the training container's entry point, with nothing of this process's environment that could matter."""
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(paths.base),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(Path(ml_platform.__file__).parents[1]),
        BASE_DIRECTORY_VARIABLE: str(paths.base),
    }
    command = [sys.executable, "-m", "ml_platform.containers.training", "train"]
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=paths.base,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise JobFailedError(f"The refit did not end within {TIMEOUT_SECONDS} s and was stopped.") from error
    for line in done.stdout.splitlines():
        on_log(line)
    if done.returncode:
        reason = paths.failure.read_text(encoding="utf-8") if paths.failure.is_file() else done.stderr[-500:]
        raise JobFailedError(f"The refit failed: {reason}")
