"""How every feature looks today: freshness, missing values, distribution, and the models that were trained on it."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core.svg import grouped_bars
from ml_platform.features.catalogue.entries import FeatureEntry, all_entries
from ml_platform.features.offline.training_set_spec import TrainingSetManifest
from ml_platform.features.tables import TRANSACTIONS

if TYPE_CHECKING:
    import polars as pl

DAYS = 7
"""Newest days of a table that figures are made of: as many as there are weekdays."""
_BINS = 12
_MODELS = "models/"
_MANIFEST = "/manifests/training_set.json"


class Figures(BaseModel):
    """A feature's values on the newest days."""

    model_config = ConfigDict(frozen=True)

    rows: int
    fresh_until: datetime = Field(description="Event of the newest row.")
    null_rate: float
    mean: float | None
    edges: tuple[float, ...] = Field(
        description="Boundaries of the histogram, from the 0.5th to the 99.5th percentile."
    )
    counts: tuple[int, ...]

    def plot(self, title: str) -> str:
        """Draw the distribution."""
        if not self.counts:
            return "every value is missing"
        shares = [count / max(sum(self.counts), 1) for count in self.counts]
        return grouped_bars(self.edges, shares, [0.0] * len(shares), title=title, names=("share of rows", ""))


class CataloguedFeature(FeatureEntry):
    """A feature, and how it looks today."""

    models: tuple[str, ...] = Field(description="Models whose training set holds it.")
    figures: Figures | None = Field(description="None where no table keeps it, or the table is empty.")


def build_catalogue(store: ObjectStore, days: int = DAYS) -> tuple[CataloguedFeature, ...]:
    """Describe every feature, from the newest ``days`` of its table."""
    used = features_by_model(store)
    entries = all_entries()
    tables = {entry.table or TRANSACTIONS for entry in entries}
    frames = {table: _newest(store, table, days) for table in sorted(tables)}
    return tuple(
        CataloguedFeature(
            **entry.model_dump(),
            models=tuple(model for model, features in used.items() if entry.name in features),
            figures=_figures(frames[entry.table or TRANSACTIONS], entry.name),
        )
        for entry in entries
    )


def features_by_model(store: ObjectStore) -> Mapping[str, tuple[str, ...]]:
    """Return the features of each model's training set; a model that was never trained uses none yet."""
    found = {}
    for key in store.keys(_MODELS):
        if key.endswith(_MANIFEST):
            try:
                manifest = TrainingSetManifest.model_validate_json(store.get(key))
            except ValidationError:  # of another version of the platform: what it uses is not known
                continue
            found[manifest.model] = manifest.features
    return dict(sorted(found.items()))


def _newest(store: ObjectStore, table: str, days: int) -> "pl.DataFrame | None":
    daily = DailyTable(store, table)
    held: list[date] = daily.days()
    frame = daily.read(held[-1] - timedelta(days=days - 1), held[-1]) if held else None
    return frame if frame is not None and frame.height else None


def _figures(frame: "pl.DataFrame | None", name: str) -> Figures | None:
    import numpy as np

    if frame is None or name not in frame.columns:
        return None
    values = frame[name].drop_nulls().drop_nans() if frame[name].dtype.is_float() else frame[name].drop_nulls()
    array = values.to_numpy().astype(float)
    newest = frame["event_time"].max()
    if not isinstance(newest, datetime):
        return None
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    if array.size:
        low, high = np.quantile(array, [0.005, 0.995])  # one odd value must not squeeze all others into a bar
        heights, bounds = np.histogram(np.clip(array, low, high), bins=_BINS)
        edges, counts = tuple(map(float, bounds)), tuple(map(int, heights))
    return Figures(
        rows=frame.height,
        fresh_until=newest,
        null_rate=1 - array.size / frame.height,
        mean=float(array.mean()) if array.size else None,
        edges=edges,
        counts=counts,
    )
