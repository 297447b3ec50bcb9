"""An artifact reads back as it was written, and any damage is found before it can score."""

import json
import shutil
from pathlib import Path

import pytest

from ml_platform.core.errors import ArtifactError
from ml_platform.core.fingerprint import fingerprint_bytes
from ml_platform.modeling.artifact import MANIFEST, MEMBERS, load_archive, load_artifact, pack_archive, save_artifact
from ml_platform.modeling.baseline import Baseline
from ml_platform.modeling.pipeline import FittedPipeline
from tests.unit.modeling.payments import FEATURES, hyperparameters, payments


def reseal(directory: Path, **changes: object) -> None:
    """Write a manifest that vouches for the files as they are now."""
    manifest = json.loads((directory / MANIFEST).read_text())
    manifest["files"] = {name: fingerprint_bytes((directory / name).read_bytes()) for name in manifest["files"]}
    (directory / MANIFEST).write_text(json.dumps(manifest | changes))


def test_a_loaded_artifact_scores_as_the_one_that_was_saved(
    saved: Path, pipeline: FittedPipeline, baseline: Baseline
) -> None:
    artifact = load_artifact(saved)
    frame = payments(500, 8)
    assert (artifact.pipeline.score(frame) == pipeline.score(frame)).all()
    assert artifact.pipeline.signature == pipeline.signature
    assert artifact.pipeline.threshold == pipeline.threshold
    assert artifact.pipeline.calibration == pipeline.calibration
    assert artifact.baseline == baseline
    assert artifact.fingerprint == "f" * 64


def test_an_artifact_that_is_loaded_and_saved_again_keeps_its_bytes(saved: Path, tmp_path: Path) -> None:
    artifact = load_artifact(saved)
    save_artifact(artifact.pipeline, artifact.baseline, artifact.fingerprint, tmp_path / "again")
    assert {name: (tmp_path / "again" / name).read_bytes() for name in MEMBERS} == {
        name: (saved / name).read_bytes() for name in MEMBERS
    }


def test_an_artifact_holds_text_and_json_only(saved: Path) -> None:
    assert sorted(file.name for file in saved.iterdir()) == sorted(MEMBERS)
    for file in saved.glob("*.json"):
        json.loads(file.read_text())
    assert (saved / "model.txt").read_text().startswith("tree\nversion=v4\n")


def test_archives_of_the_same_model_are_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(saved, tmp_path / "copy")
    pack_archive(saved, tmp_path / "one.tar.gz")
    pack_archive(copy, tmp_path / "two.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    assert load_archive(tmp_path / "one.tar.gz").digest == load_artifact(saved).digest


@pytest.mark.parametrize("name", MEMBERS)
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name} is missing"):
        load_artifact(saved)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_truncated_file_is_named(saved: Path, name: str) -> None:
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError, match=name):
        load_artifact(saved)


@pytest.mark.parametrize("name", [name for name in MEMBERS if name != MANIFEST])
def test_one_changed_byte_is_found(saved: Path, name: str) -> None:
    content = bytearray((saved / name).read_bytes())
    content[len(content) // 2] ^= 1
    (saved / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{name} .* digest differs"):
        load_artifact(saved)


def test_a_link_out_of_the_artifact_is_not_followed(saved: Path, tmp_path: Path) -> None:
    shutil.move(saved / "model.txt", tmp_path / "elsewhere.txt")
    (saved / "model.txt").symlink_to(tmp_path / "elsewhere.txt")
    with pytest.raises(ArtifactError, match=r"model\.txt is missing"):
        load_artifact(saved)


def test_half_a_save_never_loads(saved: Path) -> None:
    (saved / MANIFEST).unlink()
    with pytest.raises(ArtifactError, match=r"manifest\.json is missing"):
        load_artifact(saved)


def test_an_absent_directory_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not a complete model artifact"):
        load_artifact(tmp_path / "nowhere")


def test_a_later_format_asks_for_a_later_platform(saved: Path) -> None:
    reseal(saved, format_version=4)
    with pytest.raises(ArtifactError, match="format version 4"):
        load_artifact(saved)


@pytest.mark.parametrize("features", [FEATURES[:-1], tuple(reversed(FEATURES)), (*FEATURES, "more")])
def test_a_signature_of_another_booster_is_refused(saved: Path, features: tuple[str, ...]) -> None:
    (saved / "signature.json").write_text(json.dumps({"features": features, "label": "label"}))
    reseal(saved)
    with pytest.raises(ArtifactError, match="The booster reads"):
        load_artifact(saved)


def test_a_baseline_of_other_features_is_refused(saved: Path) -> None:
    baseline = json.loads((saved / "baseline.json").read_text())
    del baseline["columns"]["amount"]
    (saved / "baseline.json").write_text(json.dumps(baseline))
    reseal(saved)
    with pytest.raises(ArtifactError, match="other features"):
        load_artifact(saved)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\xff\xfe", b"tree\nversion=v4\nnum_class=1\n"])
def test_a_booster_that_is_none_is_refused_even_under_a_valid_digest(saved: Path, content: bytes) -> None:
    (saved / "model.txt").write_bytes(content)
    reseal(saved)
    with pytest.raises(ArtifactError, match="not a LightGBM model"):
        load_artifact(saved)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("calibration.json", '{"slope": -1.0, "intercept": 0.0}'),
        ("calibration.json", '{"slope": NaN, "intercept": 0.0}'),
        ("calibration.json", '{"slope": 1.0, "intercept": 0.0, "more": 1}'),
        ("threshold.json", '{"threshold": 2}'),
        ("threshold.json", "[]"),
    ],
)
def test_a_document_that_means_nothing_is_refused_even_under_a_valid_digest(
    saved: Path, name: str, content: str
) -> None:
    (saved / name).write_text(content)
    reseal(saved)
    with pytest.raises(ArtifactError, match=name):
        load_artifact(saved)


def test_a_regression_booster_is_refused(saved: Path) -> None:
    text = (saved / "model.txt").read_text().replace("objective=binary sigmoid:1", "objective=regression", 1)
    (saved / "model.txt").write_text(text)
    reseal(saved)
    with pytest.raises(ArtifactError, match="objective"):
        load_artifact(saved)


def test_one_feature_is_enough(tmp_path: Path) -> None:
    parameters = hyperparameters(features=("amount",))
    pipeline = FittedPipeline.fit(payments(3000, 1), payments(2000, 2), parameters)
    frame = payments(100, 3)
    baseline = Baseline.measure(pipeline.signature, frame, pipeline.score(frame))
    save_artifact(pipeline, baseline, "one", tmp_path)
    assert (load_artifact(tmp_path).pipeline.score(frame) == pipeline.score(frame)).all()


def test_an_artifact_of_the_first_format_is_still_read(saved: Path, pipeline: FittedPipeline) -> None:
    manifest = json.loads((saved / MANIFEST).read_text())
    first = {name: manifest[name] for name in ("fingerprint", "libraries", "files")}
    (saved / MANIFEST).write_text(json.dumps({"format_version": 1, **first}))
    artifact = load_artifact(saved)
    frame = payments(100, 3)
    assert (artifact.pipeline.score(frame) == pipeline.score(frame)).all()
    assert artifact.origin.hyperparameters == {}


def test_an_estimator_of_another_kind_is_refused_by_its_name(saved: Path) -> None:
    reseal(saved, estimator="pickle")
    with pytest.raises(ArtifactError, match="kind 'pickle'"):
        load_artifact(saved)
