"""Do a registered fit again, from what its artifact and its training set say of themselves, and compare the bytes.

The files that make the model must be the same to the byte. Its manifest also says with which libraries and code it was
made; where those differ now, they are told, because they are why bytes do. What a fit is started with is
``refit_inputs``.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

import ml_platform
from ml_platform.aws.objects import ObjectStore
from ml_platform.core.errors import JobFailedError
from ml_platform.modeling.archive import unpack_files
from ml_platform.modeling.artifact import ALLOWED, MANIFEST, Manifest, load_artifact, read_manifest
from ml_platform.modeling.contract import BASE_DIRECTORY_VARIABLE, ContainerPaths
from ml_platform.training.refit_inputs import MissingInputError, changed_since, write_inputs

TIMEOUT_SECONDS: Final = 3600
Report = Callable[[str], None]


class Refit(BaseModel):
    """What came of doing a fit again."""

    model_config = ConfigDict(frozen=True)

    model: str
    fingerprint: str
    refitted: bool = Field(description="False: it could not be done again; the differences say why.")
    differing_files: tuple[str, ...] = Field(default=(), description="Files of the model that came out otherwise.")
    differences: tuple[str, ...] = Field(default=(), description="What is not as it was at the fit.")

    @property
    def identical(self) -> bool:
        """Whether the same inputs gave the same bytes."""
        return self.refitted and not self.differing_files

    @property
    def failures(self) -> tuple[str, ...]:
        """Every reason why it is not the same model; none when it is."""
        if self.identical:
            return ()
        files = (f"{', '.join(self.differing_files)} came out otherwise",) if self.differing_files else ()
        return (*files, *(self.differences or ("nothing that is recorded differs: the fit itself is not repeatable",)))


def refit(store: ObjectStore, model: str, artifact_uri: str, on_log: Report = lambda _: None) -> Refit:
    """Fit a registered model again in a process of its own and compare.

    Args:
        store: Bucket of artifact, training set and code.
        model: Our name of the model.
        artifact_uri: The registered artifact.
        on_log: Gets the container's lines.

    Raises:
        ArtifactError: When the artifact cannot be read, or was fitted before artifacts said what they are made of.
        JobFailedError: When the fit itself failed.
    """
    with tempfile.TemporaryDirectory(prefix="ml-platform-refit-") as scratch:
        base, before = Path(scratch) / "ml", Path(scratch) / "before"
        archive = Path(scratch) / "model.tar.gz"
        store.download(store.key(artifact_uri), archive)
        manifest = read_manifest(archive)
        before.mkdir()
        unpack_files(archive, ALLOWED, before)
        differences = changed_since(manifest)
        try:
            write_inputs(store, model, manifest, ContainerPaths(base))
        except MissingInputError as error:
            return Refit(
                model=model,
                fingerprint=manifest.fingerprint,
                refitted=False,
                differences=(*error.reasons, *differences),
            )
        _run(base, on_log)
        return Refit(
            model=model,
            fingerprint=manifest.fingerprint,
            refitted=True,
            differing_files=_differing(manifest, before, ContainerPaths(base).model),
            differences=differences,
        )


def _differing(manifest: Manifest, before: Path, after: Path) -> tuple[str, ...]:
    """Return the files that differ; the manifest is none of them, as it says with what they were made."""
    load_artifact(after)
    names = {*manifest.files, *(file.name for file in after.iterdir())} - {MANIFEST}
    return tuple(sorted(name for name in names if _content(before / name) != _content(after / name)))


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _run(base: Path, on_log: Report) -> None:
    """Run the training container's entry point, with nothing of this process's environment that could matter."""
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(base),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(Path(ml_platform.__file__).parents[1]),
        BASE_DIRECTORY_VARIABLE: str(base),
    }
    command = [sys.executable, "-m", "ml_platform.containers.training", "train"]
    try:
        done = subprocess.run(
            command, env=environment, cwd=base, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise JobFailedError(f"The refit did not end within {TIMEOUT_SECONDS} s and was stopped.") from error
    for line in done.stdout.splitlines():
        on_log(line)
    if done.returncode:
        failure = ContainerPaths(base).failure
        reason = failure.read_text(encoding="utf-8") if failure.is_file() else done.stderr[-500:]
        raise JobFailedError(f"The refit failed: {reason}")
