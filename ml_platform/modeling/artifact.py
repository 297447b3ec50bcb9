"""Model artifacts: a directory, or ``model.tar.gz``, of open formats that is verified whenever it is read.

==================  =====================================================================
``model.txt``       the booster, in LightGBM's text format
``signature.json``  input columns, in order, and the label's name
``calibration.json``  slope and intercept from raw score to probability
``threshold.json``  the score from which a row is flagged
``baseline.json``   profiles of features and score at the fit
``manifest.json``   format version, fingerprint, library versions, SHA-256 of every other file
==================  =====================================================================

No pickle, and the same inputs give the same bytes. The digests find damage and mix-ups; who may write an artifact
at all is a matter of bucket policies.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml_platform.core.errors import ArtifactError
from ml_platform.core.fingerprint import fingerprint_bytes
from ml_platform.modeling.archive import pack_files, unpack_files
from ml_platform.modeling.baseline import Baseline
from ml_platform.modeling.calibration import Calibration
from ml_platform.modeling.pipeline import FittedPipeline
from ml_platform.modeling.schema import Signature

if TYPE_CHECKING:
    import lightgbm as lgb

MODEL: Final = "model.txt"
SIGNATURE: Final = "signature.json"
CALIBRATION: Final = "calibration.json"
THRESHOLD: Final = "threshold.json"
BASELINE: Final = "baseline.json"
MANIFEST: Final = "manifest.json"
CONTENT_FILES: Final = (MODEL, SIGNATURE, CALIBRATION, THRESHOLD, BASELINE)
MEMBERS: Final = (*CONTENT_FILES, MANIFEST)
FORMAT_VERSION: Final = 1
_OBJECTIVE: Final = "objective=binary sigmoid:1"


class Manifest(BaseModel):
    """What the artifact should hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int
    fingerprint: str = Field(min_length=1)
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


def save_artifact(pipeline: FittedPipeline, baseline: Baseline, fingerprint: str, directory: Path) -> None:
    """Write the artifact's files; the manifest comes last, so that half an artifact never loads."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MANIFEST).unlink(missing_ok=True)
    contents = {
        MODEL: pipeline.booster.model_to_string().encode(),
        SIGNATURE: _to_json(pipeline.signature),
        CALIBRATION: _to_json(pipeline.calibration),
        THRESHOLD: _to_json(Threshold(threshold=pipeline.threshold)),
        BASELINE: _to_json(baseline),
    }
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        fingerprint=fingerprint,
        libraries=_library_versions(),
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
    manifest = _parse(Manifest, raw_manifest, MANIFEST)
    if manifest.format_version != FORMAT_VERSION:
        raise ArtifactError(
            f"The artifact has format version {manifest.format_version}; this version of the platform reads"
            f" {FORMAT_VERSION}. Use the platform version that trained it, or train again."
        )
    contents = {name: _read(directory, name) for name in CONTENT_FILES}
    for name, content in contents.items():
        if manifest.files.get(name) != fingerprint_bytes(content):
            raise ArtifactError(f"{name} of the model artifact is not the file that was saved: its digest differs.")
    signature = _parse(Signature, contents[SIGNATURE], SIGNATURE)
    pipeline = FittedPipeline(
        signature=signature,
        booster=_load_booster(contents[MODEL], signature),
        calibration=_parse(Calibration, contents[CALIBRATION], CALIBRATION),
        threshold=_parse(Threshold, contents[THRESHOLD], THRESHOLD).threshold,
    )
    baseline = _parse(Baseline, contents[BASELINE], BASELINE)
    if baseline.features != signature.features:
        raise ArtifactError("The artifact's baseline describes other features than its signature.")
    return Artifact(pipeline, baseline, manifest.fingerprint, fingerprint_bytes(raw_manifest))


def pack_archive(directory: Path, archive: Path) -> None:
    """Verify the artifact in ``directory`` and write it as ``model.tar.gz``; raises like ``load_artifact``."""
    load_artifact(directory)
    pack_files(directory, MEMBERS, archive)


def load_archive(archive: Path) -> Artifact:
    """Unpack, verify and load a ``model.tar.gz``.

    Raises:
        ArtifactError: When it is not a readable archive, unpacks to too much, holds anything but an artifact, or
            the artifact cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="ml-platform-model-") as scratch:
        unpack_files(archive, MEMBERS, Path(scratch))
        return load_artifact(Path(scratch))


def _load_booster(content: bytes, signature: Signature) -> "lgb.Booster":
    import lightgbm as lgb

    try:
        text = content.decode()
        booster = lgb.Booster(model_str=text)
        names = tuple(booster.feature_name())
    except (lgb.basic.LightGBMError, UnicodeDecodeError, ValueError) as error:
        raise ArtifactError(f"{MODEL} of the model artifact is not a LightGBM model: {error}.") from error
    if names != signature.features:
        raise ArtifactError(f"The booster reads {list(names)}, the signature says {list(signature.features)}.")
    # The header decides what the numbers mean; LightGBM's parameters further down are only a record.
    if _OBJECTIVE not in text.partition("\nTree=")[0].splitlines():
        raise ArtifactError(f"The booster's objective is not binary: its header lacks {_OBJECTIVE!r}.")
    return booster


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


def _library_versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("lightgbm", "numpy")}
