"""A model's own training code: what it may see, what it may give back, and how its mistakes are told."""

from pathlib import Path

import numpy as np
import pytest

from ml_platform.core.errors import ArtifactError, ConfigurationError
from ml_platform.core.fingerprint import fingerprint_bytes
from ml_platform.modeling.artifact import load_archive, pack_archive, save_artifact
from ml_platform.modeling.baseline import Baseline
from ml_platform.modeling.pipeline import FittedPipeline
from ml_platform.modeling.training_code import TrainingRows, load_training_code
from tests.unit.modeling.payments import FEATURES, booster_of, hyperparameters, payments

FOREST = """
def fit(rows, hyperparameters):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    forest = RandomForestClassifier(random_state=hyperparameters.seed, **hyperparameters.model_parameters)
    model = make_pipeline(SimpleImputer(), forest)
    return model.fit(rows.matrix, rows.labels, randomforestclassifier__sample_weight=rows.weights)
"""
OWN_BOOSTER = """
def fit(rows, hyperparameters):
    import lightgbm as lgb

    data = lgb.Dataset(rows.matrix, rows.labels, feature_name=list(rows.features))
    return lgb.train({"objective": "binary", "num_threads": 1, "verbosity": -1}, data, num_boost_round=5)
"""


def code(folder: Path, text: str) -> Path:
    path = folder / "pipeline.py"
    path.write_text(text)
    return path


def fitted_by(folder: Path, text: str, **given: object) -> FittedPipeline:
    parameters = hyperparameters(**{"model_parameters": {}, **given})
    fit = load_training_code(code(folder, text))
    return FittedPipeline.fit(payments(3000, 1), payments(2000, 2), parameters, code=fit)


def test_a_forest_is_saved_loaded_and_scores_the_same(tmp_path: Path) -> None:
    pipeline = fitted_by(tmp_path, FOREST, model_parameters={"n_estimators": 8, "max_depth": 6})
    frame = payments(500, 3)
    scores = pipeline.score(frame)
    save_artifact(pipeline, Baseline.measure(pipeline.signature, frame, scores), "f", tmp_path / "model")
    pack_archive(tmp_path / "model", tmp_path / "model.tar.gz")
    loaded = load_archive(tmp_path / "model.tar.gz")
    assert loaded.pipeline.estimator.kind == "scikit-learn"
    assert (loaded.pipeline.score(frame) == scores).all()
    assert scores[frame["label"] == 1].mean() > 3 * scores[frame["label"] == 0].mean()


def test_the_same_fit_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = (
        fitted_by(tmp_path, FOREST, model_parameters={"n_estimators": 3}).estimator.to_bytes() for _ in range(2)
    )
    assert one == two


def test_a_booster_of_ones_own_is_a_model_like_the_default(tmp_path: Path) -> None:
    pipeline = fitted_by(tmp_path, OWN_BOOSTER)
    assert pipeline.estimator.kind == "lightgbm"
    assert booster_of(pipeline).num_trees() == 5


def test_the_code_does_not_see_the_days_that_calibrate(tmp_path: Path) -> None:
    seen: list[int] = []

    def fit(rows: TrainingRows, _hyperparameters: object) -> object:
        from sklearn.linear_model import LogisticRegression

        seen.append(len(rows.labels))
        return LogisticRegression().fit(np.nan_to_num(rows.matrix), rows.labels)

    # Missing values are the code's to handle, as calibration shows at once.
    with pytest.raises(ArtifactError, match=r"contains NaN.* put a SimpleImputer first"):
        FittedPipeline.fit(payments(3000, 1), payments(2000, 2), hyperparameters(), code=fit)
    assert seen == [3000]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("fit = 3", "no function fit"),
        ("import nothing_like_this", "cannot be run: ModuleNotFoundError"),
        ("def fit(rows", "cannot be run: SyntaxError"),
    ],
)
def test_code_that_is_none_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        load_training_code(code(tmp_path, text))


def test_another_file_than_was_asked_for_is_not_run(tmp_path: Path) -> None:
    path = code(tmp_path, "raise SystemExit('was run')")
    with pytest.raises(ConfigurationError, match="digest differs"):
        load_training_code(path, fingerprint_bytes(b"another"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def fit(rows, hyperparameters):\n    return 1 / 0", "in line 2 of pipeline.py: ZeroDivisionError"),
        ("def fit(rows, hyperparameters):\n    return 'a model'", "not a fitted classifier of 0 and 1"),
        (
            "def fit(rows, hyperparameters):\n    return lambda matrix: matrix",
            "cannot be saved without pickle|not trusted",
        ),
        (
            "def fit(rows, hyperparameters):\n"
            "    from sklearn.ensemble import HistGradientBoostingClassifier\n"
            "    return HistGradientBoostingClassifier(max_iter=2).fit(rows.matrix, rows.labels)",
            "not trusted to be loaded: .*TreePredictor.*LightGBM",
        ),
        (
            "def fit(rows, hyperparameters):\n"
            "    from sklearn.linear_model import LinearRegression\n"
            "    return LinearRegression().fit(rows.matrix[:, 1:], rows.labels)",
            "not a fitted classifier",
        ),
        (
            "def fit(rows, hyperparameters):\n"
            "    from sklearn.linear_model import LogisticRegression\n"
            "    return LogisticRegression().fit(rows.matrix[:, 1:], rows.labels)",
            "reads 3 features, the signature has 4",
        ),
    ],
    ids=["error", "text", "function", "not safe to load", "regression", "fewer features"],
)
def test_what_cannot_be_a_model_is_told_at_the_fit(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ArtifactError, match=reason):
        fitted_by(tmp_path, text)


def test_columns_are_found_by_name() -> None:
    rows = TrainingRows(FEATURES, np.zeros((1, 4)), np.zeros(1))
    assert rows.positions("card_tx_count_1d", "amount") == [3, 0]
    with pytest.raises(ConfigurationError, match="no feature age"):
        rows.positions("age")


def test_the_page_on_training_code_shows_code_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs" / "training-code.md").read_text()
    blocks = [part.split("```")[0] for part in page.split("```python\n")[1:]]
    pipeline, notebook = blocks[:2]
    (tmp_path / "pipeline.py").write_text(pipeline)
    payments(3000, 1).to_parquet(tmp_path / "train.parquet")
    payments(2000, 2).to_parquet(tmp_path / "validation.parquet")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"FEATURES": FEATURES}
    exec(notebook, namespace)  # noqa: S102  # the page's own lines
    model = namespace["model"]
    assert isinstance(model, FittedPipeline)
    assert model.estimator.kind == "scikit-learn"
