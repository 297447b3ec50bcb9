"""Model artifacts: a directory, or ``model.tar.gz``, of open formats that is verified whenever it is read.

==================  =====================================================================
``model.txt``       the booster, in LightGBM's text format; or instead of it
``model.skops``     a classifier of scikit-learn, in skops' format
``signature.json``  input columns, in order, and the label's name
``calibration.json``  slope and intercept from raw score to probability
``threshold.json``  the score from which a row is flagged
``baseline.json``   profiles of features and score at the fit
``reference.json``  what scores are explained against, for models that need it (``scikit_reasons``)
``manifest.json``   format version, kind of estimator, fingerprint, where the fit comes from (hyper-parameters, code,
                    library versions), SHA-256 of every other file
==================  =====================================================================

No pickle, and the same inputs give the same bytes. The digests find damage and mix-ups; who may write an artifact
at all is a matter of bucket policies.
"""

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml_platform.core.errors import ArtifactError
from ml_platform.core.fingerprint import fingerprint_bytes
from ml_platform.modeling.archive import pack_files, unpack_files
from ml_platform.modeling.baseline import Baseline
from ml_platform.modeling.calibration import Calibration
from ml_platform.modeling.estimators import FILES, LIGHTGBM, SCIKIT_LEARN, file_of, load_estimator
from ml_platform.modeling.pipeline import FittedPipeline
from ml_platform.modeling.schema import Signature
from ml_platform.modeling.scikit_reasons import Reference

MODEL: Final = FILES[LIGHTGBM]
SIGNATURE: Final = "signature.json"
CALIBRATION: Final = "calibration.json"
THRESHOLD: Final = "threshold.json"
BASELINE: Final = "baseline.json"
REFERENCE: Final = "reference.json"
MANIFEST: Final = "manifest.json"
_BESIDE_MODEL: Final = (SIGNATURE, CALIBRATION, THRESHOLD, BASELINE)
MEMBERS: Final = (MODEL, *_BESIDE_MODEL, MANIFEST)
"""What an artifact with a booster holds."""
ALLOWED: Final = tuple({**dict.fromkeys(FILES.values()), **dict.fromkeys((*MEMBERS, REFERENCE))})
"""What any artifact may hold."""
FORMAT_VERSION: Final = 3
_READ: Final = (1, 2, FORMAT_VERSION)
_LIBRARIES: Final = {
    LIGHTGBM: ("lightgbm", "numpy"),
    SCIKIT_LEARN: ("numpy", "scikit-learn", "scipy", "skops"),
}


class Origin(BaseModel):
    """Where a fit comes from, beside its data: what it takes to do it again. Empty for what was fitted by hand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hyperparameters: dict[str, str] = Field(default={}, description="As the training job was given them.")
    code: dict[str, str] = Field(default={}, description="SHA-256 of the platform's own code that ran, by file.")
    rows: dict[str, str] = Field(default={}, description="SHA-256 of features and labels, by channel.")
    python: str = ""
    machine: str = Field(default="", description="Processor type: another one may round differently.")


class Manifest(BaseModel):
    """What the artifact should hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int
    estimator: str = LIGHTGBM
    fingerprint: str = Field(min_length=1)
    origin: Origin = Origin()
    libraries: dict[str, str]
    files: dict[str, str] = Field(description="File name to hex SHA-256.")


class Threshold(BaseModel):
    """The decision: a row is flagged when its score is at least this."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(ge=0, le=1)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A verified artifact, ready to score."""

    pipeline: FittedPipeline
    baseline: Baseline
    fingerprint: str
    digest: str
    """SHA-256 of the manifest, and so of everything: two artifacts with one digest are the same model."""
    origin: Origin = field(default_factory=Origin)


def save_artifact(
    pipeline: FittedPipeline, baseline: Baseline, fingerprint: str, directory: Path, origin: Origin | None = None
) -> None:
    """Write the artifact's files; the manifest comes last, so that half an artifact never loads."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in (MANIFEST, REFERENCE):
        (directory / name).unlink(missing_ok=True)
    contents = {
        pipeline.estimator.file: pipeline.estimator.to_bytes(),
        SIGNATURE: _to_json(pipeline.signature),
        CALIBRATION: _to_json(pipeline.calibration),
        THRESHOLD: _to_json(Threshold(threshold=pipeline.threshold)),
        BASELINE: _to_json(baseline),
        **({} if pipeline.reference is None else {REFERENCE: _to_json(pipeline.reference)}),
    }
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        estimator=pipeline.estimator.kind,
        fingerprint=fingerprint,
        origin=origin or Origin(),
        libraries=library_versions(pipeline.estimator.kind),
        files={name: fingerprint_bytes(content) for name, content in contents.items()},
    )
    for name, content in (contents | {MANIFEST: _to_json(manifest)}).items():
        (directory / name).write_bytes(content)


def load_artifact(directory: Path) -> Artifact:
    """Read and verify an artifact; files that do not belong to one are never opened.

    Raises:
        ArtifactError: When a file is missing, altered or malformed, or the parts do not belong together.
    """
    raw_manifest = _read(directory, MANIFEST)
    manifest = _manifest(raw_manifest)
    model_file = file_of(manifest.estimator)
    told = (REFERENCE,) if REFERENCE in manifest.files else ()
    contents = {name: _read(directory, name) for name in (model_file, *_BESIDE_MODEL, *told)}
    for name, content in contents.items():
        if manifest.files.get(name) != fingerprint_bytes(content):
            raise ArtifactError(f"{name} of the model artifact is not the file that was saved: its digest differs.")
    signature = _parse(Signature, contents[SIGNATURE], SIGNATURE)
    pipeline = FittedPipeline(
        signature=signature,
        estimator=load_estimator(manifest.estimator, contents[model_file], signature),
        calibration=_parse(Calibration, contents[CALIBRATION], CALIBRATION),
        threshold=_parse(Threshold, contents[THRESHOLD], THRESHOLD).threshold,
        reference=_parse(Reference, contents[REFERENCE], REFERENCE) if told else None,
    )
    if pipeline.reference is not None and len(pipeline.reference.values) != len(signature.features):
        raise ArtifactError("The artifact's reference describes other features than its signature.")
    baseline = _parse(Baseline, contents[BASELINE], BASELINE)
    if baseline.features != signature.features:
        raise ArtifactError("The artifact's baseline describes other features than its signature.")
    return Artifact(pipeline, baseline, manifest.fingerprint, fingerprint_bytes(raw_manifest), manifest.origin)


def read_manifest(archive: Path) -> Manifest:
    """Return the manifest of a ``model.tar.gz`` without loading its model; raises like ``load_archive``."""
    with tempfile.TemporaryDirectory(prefix="ml-platform-model-") as scratch:
        unpack_files(archive, ALLOWED, Path(scratch))
        return _manifest(_read(Path(scratch), MANIFEST))


def _manifest(content: bytes) -> Manifest:
    manifest = _parse(Manifest, content, MANIFEST)
    if manifest.format_version not in _READ:
        raise ArtifactError(
            f"The artifact has format version {manifest.format_version}; this version of the platform reads"
            f" {' and '.join(map(str, _READ))}. Use the platform version that trained it, or train again."
        )
    return manifest


def pack_archive(directory: Path, archive: Path) -> None:
    """Verify the artifact in ``directory`` and write it as ``model.tar.gz``; raises like ``load_artifact``."""
    pipeline = load_artifact(directory).pipeline
    told = () if pipeline.reference is None else (REFERENCE,)
    pack_files(directory, (pipeline.estimator.file, *_BESIDE_MODEL, *told, MANIFEST), archive)


def load_archive(archive: Path) -> Artifact:
    """Unpack, verify and load a ``model.tar.gz``.

    Raises:
        ArtifactError: When it is not a readable archive, unpacks to too much, holds anything but an artifact, or
            the artifact cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="ml-platform-model-") as scratch:
        unpack_files(archive, ALLOWED, Path(scratch))
        return load_artifact(Path(scratch))


_Document = TypeVar("_Document", bound=BaseModel)


def _parse(kind: type[_Document], content: bytes, name: str) -> _Document:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the document"
        raise ArtifactError(f"{name} of the model artifact cannot be used: {where}: {problem['msg']}.") from error


def _read(directory: Path, name: str) -> bytes:
    path = directory / name
    # A link could point outside the artifact.
    if path.is_symlink() or not path.is_file():
        raise ArtifactError(f"{directory} is not a complete model artifact: {name} is missing.")
    return path.read_bytes()


def _to_json(document: BaseModel) -> bytes:
    """Serialise in field order; floats are written so that they read back to the same bits."""
    return f"{json.dumps(document.model_dump(mode='json'), indent=1, allow_nan=False)}\n".encode()


def library_versions(kind: str) -> dict[str, str]:
    """Return the versions, as installed here, of the libraries that a kind of estimator depends on."""
    from importlib.metadata import version

    return {name: version(name) for name in _LIBRARIES[kind]}
