"""A scikit-learn file that somebody else wrote is refused before it can do harm."""

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import BaggingClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ml_platform.core.errors import ArtifactError
from ml_platform.modeling.estimators import load_estimator
from ml_platform.modeling.schema import Signature
from ml_platform.modeling.scikit import ScikitEstimator, canonical_bytes
from ml_platform.modeling.scikit_trees import check_trees

SIGNATURE = Signature(features=("a", "b", "c"))
RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 3))
Y = (X[:, 0] > 0.5).astype(float)


def own_function(values: Any) -> Any:
    """What a file could name to have it called."""
    return values


def rewritten(content: bytes, change: Any, compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return the file with its schema changed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(packed, "w", compression) as target:
        for name in source.namelist():
            member = source.read(name)
            if name == "schema.json":
                member = json.dumps(change(json.loads(member))).encode()
            target.writestr(name, member)
    return packed.getvalue()


def test_a_pipeline_reads_back_to_the_same_scores_and_the_same_bytes() -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    content = canonical_bytes(model)
    loaded = ScikitEstimator.load(content, SIGNATURE)
    assert (loaded.raw(X) == model.decision_function(X)).all()
    assert canonical_bytes(loaded.classifier) == content


def test_a_forest_that_is_sure_gives_finite_scores() -> None:
    model = RandomForestClassifier(3, random_state=0).fit(X, Y)
    raw = ScikitEstimator.load(canonical_bytes(model), SIGNATURE).raw(X)
    assert np.isfinite(raw).all()
    assert np.allclose(1 / (1 + np.exp(-raw)), model.predict_proba(X)[:, 1])


def test_a_function_of_somebodys_own_is_not_loaded() -> None:
    model = make_pipeline(FunctionTransformer(own_function), LogisticRegression()).fit(X, Y)
    with pytest.raises(ArtifactError, match=r"not trusted to be loaded: .*own_function"):
        ScikitEstimator.load(canonical_bytes(model), SIGNATURE)


def test_a_type_that_was_put_in_place_of_another_is_not_loaded() -> None:
    def forge(schema: dict[str, Any]) -> dict[str, Any]:
        return {**schema, "__class__": "Popen", "__module__": "subprocess"}

    forged = rewritten(canonical_bytes(LogisticRegression().fit(X, Y)), forge)
    with pytest.raises(ArtifactError, match=r"not trusted to be loaded: subprocess\.Popen"):
        ScikitEstimator.load(forged, SIGNATURE)


def test_what_could_unpack_to_anything_is_not_unpacked() -> None:
    packed = rewritten(canonical_bytes(LogisticRegression().fit(X, Y)), lambda schema: schema, zipfile.ZIP_DEFLATED)
    with pytest.raises(ArtifactError, match="compressed members"):
        ScikitEstimator.load(packed, SIGNATURE)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 but no more", b"\x80\x04K\x01."])
def test_what_is_no_skops_file_is_refused(content: bytes) -> None:
    with pytest.raises(ArtifactError, match="not a skops file"):
        ScikitEstimator.load(content, SIGNATURE)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ArtifactError, match="kind 'pickle'"):
        load_estimator("pickle", b"", SIGNATURE)


@pytest.mark.parametrize("array", ["left_child", "right_child", "feature"])
def test_a_tree_that_leads_nowhere_is_refused(array: str) -> None:
    model = RandomForestClassifier(2, random_state=0).fit(X, Y)
    check_trees(model)
    nodes = model.estimators_[1].tree_.__getstate__()["nodes"].copy()
    nodes[array][0] = 1_000_000 if array != "left_child" else 0
    state = {**model.estimators_[1].tree_.__getstate__(), "nodes": nodes}
    model.estimators_[1].tree_.__setstate__(state)
    with pytest.raises(ArtifactError, match="nodes lead nowhere"):
        check_trees(model)


@pytest.mark.parametrize("model", [GradientBoostingClassifier(n_estimators=2), BaggingClassifier(n_estimators=2)])
def test_trees_that_cannot_be_checked_are_refused(model: Any) -> None:
    with pytest.raises(ArtifactError, match=r"cannot be checked|not trusted"):
        ScikitEstimator.load(canonical_bytes(make_pipeline(StandardScaler(), model).fit(X, Y)), SIGNATURE)


def test_another_labels_classifier_is_refused() -> None:
    with pytest.raises(ArtifactError, match="classifier of 0 and 1"):
        ScikitEstimator.load(canonical_bytes(LogisticRegression().fit(X, Y + 1)), SIGNATURE)
