"""A tiny world with a learnable fraud pattern, for tests that need a model."""

import lightgbm as lgb
import numpy as np
import pandas as pd

from ml_platform.modeling.boosters import BoosterEstimator
from ml_platform.modeling.hyperparameters import HyperParameters
from ml_platform.modeling.pipeline import FittedPipeline

FEATURES = ("amount", "is_weekend", "terminal_fraud_rate_7d", "card_tx_count_1d")


def payments(rows: int, seed: int) -> pd.DataFrame:
    """Return labelled payments: large amounts and bad terminals are fraud, some values are missing."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "transaction_id": [f"t{number}" for number in range(rows)],
            "amount": rng.exponential(50, rows).round(2),
            "is_weekend": rng.integers(0, 2, rows),
            "terminal_fraud_rate_7d": np.where(rng.random(rows) < 0.9, 0.0, rng.random(rows)),
            "card_tx_count_1d": rng.poisson(2, rows),
        }
    )
    logit = -5 + 5 * (frame["amount"] > 160) + 6 * frame["terminal_fraud_rate_7d"]
    frame["label"] = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype("int8")
    frame.loc[frame.index % 17 == 0, "amount"] = np.nan
    return frame


def hyperparameters(**overrides: object) -> HyperParameters:
    """Return valid hyper-parameters of a quick model."""
    values: dict[str, object] = {
        "features": FEATURES,
        "model_parameters": {"num_iterations": 40},
        "seed": 3,
        "fingerprint": "f" * 64,
    }
    return HyperParameters.model_validate(values | overrides)


def fitted(**overrides: object) -> FittedPipeline:
    """Return a pipeline fitted on 4,000 payments and calibrated on 2,000 others."""
    return FittedPipeline.fit(payments(4000, 1), payments(2000, 2), hyperparameters(**overrides))


def booster_of(pipeline: FittedPipeline) -> lgb.Booster:
    """Return LightGBM's booster of a pipeline that has one."""
    assert isinstance(pipeline.estimator, BoosterEstimator)
    return pipeline.estimator.booster
