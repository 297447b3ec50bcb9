"""How many payments are explained when a candidate is judged: enough for intervals, few enough for seconds."""

from dataclasses import dataclass, replace

import pandas as pd
import pytest

from ml_platform.modeling.boosters import BoosterEstimator
from ml_platform.modeling.pipeline import FittedPipeline
from ml_platform.resources.model_explanations import MAX_ROWS, MIN_ROWS, rows_for, some_cards
from tests.unit.modeling.payments import booster_of, fitted


@dataclass(frozen=True)
class Sized(BoosterEstimator):
    """A model whose file has a given size."""

    size: int = 0

    def to_bytes(self) -> bytes:
        return bytes(self.size)


def of_size(size: int, pipeline: FittedPipeline) -> FittedPipeline:
    return replace(pipeline, estimator=Sized(booster_of(pipeline), size=size))


@pytest.mark.parametrize(("megabytes", "rows"), [(0.2, MAX_ROWS), (1, MAX_ROWS), (10, 500), (90, MIN_ROWS)])
def test_a_large_model_is_explained_on_fewer_rows(megabytes: float, rows: int) -> None:
    model = fitted()
    assert rows_for(of_size(int(megabytes * 1e6), model), None) == rows
    assert rows_for(model, of_size(int(megabytes * 1e6), model)) == rows


def test_cards_are_taken_whole() -> None:
    rows = pd.DataFrame({"customer_id": [f"c{number % 40}" for number in range(1000)]})
    taken = some_cards(rows, 260)
    assert set(taken["customer_id"].value_counts()) == {25}
    assert len(taken) == 250
