"""Do a registered fit again, from what its artifact and its training set say of themselves, and compare the bytes.

The files that make the model must be the same to the byte. Its manifest also says with which libraries and code it was
made; where those differ now, they are told, because they are why bytes do. Where it is fitted, in a process here or as
a SageMaker job, is ``refit_runs``; what it is started with is ``refit_inputs``.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.aws.objects import ObjectStore
from ml_platform.modeling.archive import unpack_files
from ml_platform.modeling.artifact import ALLOWED, MANIFEST, Manifest, load_artifact, read_manifest
from ml_platform.training.refit_inputs import MissingInputError

FitAgain = Callable[[Manifest, Path], None]
"""Does the fit of a manifest again and leaves the model's files in a directory that exists."""


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


def refit(store: ObjectStore, model: str, artifact_uri: str, fit_again: FitAgain) -> Refit:
    """Fit a registered model again and compare.

    Args:
        store: Bucket of the artifact.
        model: Our name of the model.
        artifact_uri: The registered artifact.
        fit_again: Where it is fitted.

    Raises:
        ArtifactError: When the artifact cannot be read, or was fitted before artifacts said what they are made of.
        JobFailedError: When the fit itself failed.
    """
    with tempfile.TemporaryDirectory(prefix="ml-platform-refit-") as scratch:
        before, after, archive = (Path(scratch) / name for name in ("before", "after", "model.tar.gz"))
        store.download(store.key(artifact_uri), archive)
        manifest = read_manifest(archive)
        for directory in (before, after):
            directory.mkdir()
        unpack_files(archive, ALLOWED, before)
        try:
            fit_again(manifest, after)
        except MissingInputError as error:
            return Refit(
                model=model, fingerprint=manifest.fingerprint, refitted=False, differences=tuple(error.reasons)
            )
        load_artifact(after)
        now = Manifest.model_validate_json((after / MANIFEST).read_bytes())
        return Refit(
            model=model,
            fingerprint=manifest.fingerprint,
            refitted=True,
            differing_files=_differing(manifest, before, after),
            differences=changed_since(manifest, now),
        )


def changed_since(before: Manifest, now: Manifest) -> tuple[str, ...]:
    """Return what was not as it was at a fit: libraries, Python, the processor, rows, the platform's own code."""
    changed = [
        f"{name} was {version}, now it is {now.libraries.get(name, 'not installed')}"
        for name, version in sorted(before.libraries.items())
        if now.libraries.get(name) != version
    ]
    was, became = before.origin, now.origin
    for name, one, other in (
        ("Python", was.python, became.python),
        ("the processor", was.machine, became.machine),
    ):
        if one and one != other:
            changed.append(f"{name} was {one}, now it is {other}")
    changed += [
        f"the {channel} rows are not those that it was fitted on: they were altered"
        for channel in sorted(was.rows)
        if was.rows[channel] != became.rows.get(channel)
    ]
    files = sorted(file for file in {*was.code, *became.code} if was.code.get(file) != became.code.get(file))
    if was.code and files:
        changed.append(f"the platform's code differs in {', '.join(files)}")
    return tuple(changed)


def _differing(manifest: Manifest, before: Path, after: Path) -> tuple[str, ...]:
    """Return the files that differ; the manifest is none of them, as it says with what they were made."""
    names = {*manifest.files, *(file.name for file in after.iterdir())} - {MANIFEST}
    return tuple(sorted(name for name in names if _content(before / name) != _content(after / name)))


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None
