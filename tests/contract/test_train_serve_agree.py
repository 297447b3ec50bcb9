"""What the training container fitted is what the serving container answers, on the same rows, to 1e-12.

Both run as processes of their own; the only thing that goes from one to the other is ``model.tar.gz``.
"""

from pathlib import Path

import numpy as np
import pytest

from ml_platform.modeling.archive import unpack_files
from ml_platform.modeling.artifact import MEMBERS, load_archive, pack_archive
from ml_platform.modeling.codec import decode_response, encode_csv, encode_instances
from ml_platform.modeling.contract import CSV, JSON
from ml_platform.modeling.pipeline import FittedPipeline
from tests.unit.containers.jobs import serving, train, write_job
from tests.unit.modeling.payments import FEATURES, hyperparameters, payments

# Values at which splits, parsers and calibrations disagree first.
HARD_VALUES = [0.0, -0.0, 160.0, np.nextafter(160.0, 0), np.nextafter(160.0, 1e3), 1e-300, 1e300, 0.1 + 0.2, np.nan]


def hard_rows() -> np.ndarray:
    """Ordinary payments, then every hard value in every column."""
    ordinary = payments(500, 21)[list(FEATURES)].to_numpy(dtype="float64")
    hard = np.array([[value, 1.0, value, value] for value in HARD_VALUES])
    return np.vstack([ordinary, hard, np.roll(hard, 1, axis=1)])


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``model.tar.gz`` as a training job leaves it."""
    base = tmp_path_factory.mktemp("trained")
    write_job(base, hyperparameters(), train=payments(4000, 1), validation=payments(2000, 2))
    assert train(base).returncode == 0
    pack_archive(base / "model", base / "model.tar.gz")
    return base / "model.tar.gz"


def test_the_endpoint_scores_as_the_job_that_trained_it(archive: Path, tmp_path: Path) -> None:
    rows = hard_rows()
    fitted = FittedPipeline.fit(payments(4000, 1), payments(2000, 2), hyperparameters()).score_matrix(rows)
    loaded = load_archive(archive).pipeline.score_matrix(rows)
    (tmp_path / "model").mkdir()
    unpack_files(archive, MEMBERS, tmp_path / "model")
    with serving(tmp_path) as server:
        batch = server.request("POST", "/invocations", encode_csv(rows), content_type=CSV, accept=CSV)
        single = [
            server.request("POST", "/invocations", encode_instances([dict(zip(FEATURES, row, strict=True))]))
            for row in rows[-40:]
        ]
    assert batch[0] == 200
    served = np.array(decode_response(batch[1], CSV))
    one_by_one = np.array([decode_response(body, JSON)[0] for _, body, _ in single])
    assert (loaded == fitted).all()
    assert np.abs(served - fitted).max() <= 1e-12
    assert np.abs(one_by_one - fitted[-40:]).max() <= 1e-12
