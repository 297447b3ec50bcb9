"""Where ``bench.gate`` draws its holdouts from: a large simulated week, scored by models the platform fitted.

Two fits that differ by their seed alone are equal in truth. A champion that is worse by a known amount is one of them
with noise on its log-odds, as much as takes that amount of average precision over the whole population.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import numpy as np
import pandas as pd
import polars as pl

from ml_platform.cli.handbook_reference import calendar_features
from ml_platform.features.tables import CARD_FEATURES, MODEL_FEATURES, TERMINAL_FEATURES
from ml_platform.features.windows.on_polars.engine import window_features
from ml_platform.features.windows.payments import card_activity, terminal_risk
from ml_platform.ingestion.simulator import simulate_labels, simulate_transactions
from ml_platform.ingestion.simulator_parameters import SimulatorParameters
from ml_platform.modeling.hyperparameters import HyperParameters
from ml_platform.modeling.pipeline import FittedPipeline
from ml_platform.modeling.ranking import average_precision

START = date(2026, 1, 5)
REACH, TRAIN, VALIDATION, GAP, HOLDOUT = 37, 35, 7, 7, 7
DAYS = REACH + TRAIN + VALIDATION + GAP + HOLDOUT
TRAINING_CARDS = 0.25
"""Share of the cards that models are fitted on: about the demo's number."""


@dataclass(frozen=True, slots=True)
class Population:
    """A scored week of all cards."""

    holdout: pd.DataFrame
    first: np.ndarray
    """Scores of one fit, of shape (n_rows,)."""
    second: np.ndarray
    """Scores of the other, which differs by its seed."""

    def worse_by(self, loss: float, *, of: Literal["first", "second"] = "first") -> np.ndarray:
        """Return a fit's scores with so much noise that their average precision is by ``loss`` below the second's.

        Of the two fits the noise is independent, so that both are equal in truth and err differently.
        """
        labels = self.holdout["label"].to_numpy()
        scores, seed = (self.first, 5) if of == "first" else (self.second, 6)
        odds = np.log(scores / (1 - scores))
        noise = np.random.default_rng(seed).normal(size=len(odds))
        goal = average_precision(labels, self.second) - loss
        low, high = 0.0, 8.0
        for _ in range(40):
            middle = (low + high) / 2
            if average_precision(labels, odds + middle * noise) > goal:
                low = middle
            else:
                high = middle
        return 1 / (1 + np.exp(-(odds + high * noise)))


def population(customers: int) -> Population:
    """Simulate a world, fit both models and score its newest week."""
    parameters = SimulatorParameters(seed=11, customers=customers, terminals=2 * customers)
    last = START + timedelta(days=DAYS - 1)
    transactions = simulate_transactions(parameters, START, START, last)
    known = simulate_labels(parameters, START, START, last + timedelta(days=60))
    labels = known.sort("known_time").group_by("transaction_id").agg(pl.col("label").last())
    of_cards = window_features(card_activity, transactions).select(CARD_FEATURES)
    of_terminals = window_features(terminal_risk, transactions, known).select(TERMINAL_FEATURES)
    featured = [transactions, of_cards, of_terminals, calendar_features(transactions)]
    rows = pl.concat(featured, how="horizontal").join(labels, on="transaction_id").sort("event_time", "transaction_id")
    cards = transactions["customer_id"].unique().sort()
    trained_on = cards.sample(fraction=TRAINING_CARDS, seed=0)
    chosen = rows.filter(pl.col("customer_id").is_in(trained_on.implode()))
    train, validation = _days(chosen, REACH, TRAIN), _days(chosen, REACH + TRAIN, VALIDATION)
    holdout = _days(rows, DAYS - HOLDOUT, HOLDOUT)
    first, second = (
        FittedPipeline.fit(
            train, validation, HyperParameters(features=MODEL_FEATURES, seed=seed, fingerprint="bench")
        ).score(holdout)
        for seed in (1, 2)
    )
    return Population(holdout, first, second)


def _days(rows: pl.DataFrame, first: int, days: int) -> pd.DataFrame:
    start = datetime.combine(START, datetime.min.time(), UTC) + timedelta(days=first)
    span = pl.col("event_time").is_between(start, start + timedelta(days=days), closed="left")
    return rows.filter(span).to_pandas()
