"""Training sets: payments, the features as of each, and the labels as known at the cut-off, as Parquet in S3.

The same inputs give the same bytes and the same fingerprint; a set that exists is found, not written again. What a
set is made of is ``features.training_set_spec``.
"""

import io
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core import names
from ml_platform.core.errors import FeatureError
from ml_platform.core.fingerprint import fingerprint_bytes, fingerprint_json, fingerprint_parts
from ml_platform.core.settings import Settings
from ml_platform.features.offline.labelled_payments import LabelledPayments, labelled_payments
from ml_platform.features.offline.lookup import point_in_time_features, service_definition
from ml_platform.features.offline.training_set_spec import (
    LABEL,
    Split,
    SplitManifest,
    TrainingSetManifest,
    TrainingSetSpec,
)
from ml_platform.features.store import feature_store
from ml_platform.features.tables import CARD_ACTIVITY, TERMINAL_RISK, TRANSACTIONS

if TYPE_CHECKING:
    import polars as pl
    from feast import FeatureStore

# The code that decides what is in a training set; the rest of this package only serves or checks.
_CODE = (
    "offline/asof.py",
    "offline/labelled_payments.py",
    "labels/conflicts.py",
    "labels/known.py",
    "offline/lookup.py",
    "offline/targets.py",
    "offline/training_set.py",
    "offline/training_set_spec.py",
    "windows/compute.py",
    "windows/declaration.py",
    "windows/on_polars/engine.py",
    "windows/on_polars/known_frauds.py",
    "windows/on_polars/line.py",
    "windows/on_polars/plan.py",
    "windows/on_polars/rows.py",
    "windows/payments.py",
    "windows/reach.py",
)


def build_training_set(settings: Settings, store: ObjectStore, spec: TrainingSetSpec) -> TrainingSetManifest:
    """Build the training set, or find it when the same inputs built it before.

    Raises:
        FeatureError: When payments, labels or features of these days are missing, or the join lost rows.
    """
    feast = feature_store(settings)
    _require_features(store, spec)
    rows = {split: labelled_payments(store, spec, split) for split in spec.days()}
    frames = _with_features(feast, spec, {split: found.frame for split, found in rows.items()})
    contents = {split: _parquet(frame) for split, frame in frames.items()}
    fingerprints = {
        "data": fingerprint_parts({split: fingerprint_bytes(content) for split, content in contents.items()}),
        "spec": fingerprint_json(spec.model_dump(mode="json")),
        "feature_service": fingerprint_json(service_definition(feast, spec.feature_service)),
        "code": fingerprint_parts(
            {name: fingerprint_bytes(Path(__file__).parents[1].joinpath(name).read_bytes()) for name in _CODE}
        ),
    }
    fingerprint = fingerprint_parts(fingerprints)
    prefix = f"{names.model_prefix(spec.model, 'training-sets')}{fingerprint}/"
    try:
        return TrainingSetManifest.model_validate_json(store.get(f"{prefix}manifest.json"))
    except ObjectNotFoundError:
        pass
    manifest = TrainingSetManifest(
        model=spec.model,
        fingerprint=fingerprint,
        uri=store.uri(prefix),
        features=spec.features,
        as_of=spec.as_of,
        splits={
            split: _describe(store.uri(f"{prefix}{split}/"), frames[split], found, spec.days()[split])
            for split, found in rows.items()
        },
        spec=spec,
        fingerprints=fingerprints,
    )
    for split, content in contents.items():
        store.put(f"{prefix}{split}/part-0.parquet", content)
    # Last: a set without a manifest was interrupted, and is written again.
    store.put(f"{prefix}manifest.json", manifest.model_dump_json(indent=2).encode(), "application/json")
    return manifest


def read_split(store: ObjectStore, manifest: TrainingSetManifest, split: Split) -> "pl.DataFrame":
    """Return one split of a built training set."""
    import polars as pl

    return pl.read_parquet(io.BytesIO(store.get(f"{store.key(manifest.splits[split].uri)}part-0.parquet")))


def _require_features(store: ObjectStore, spec: TrainingSetSpec) -> None:
    """Refuse days whose payments are there but whose features are not: their rows would look like unknown keys."""
    days = spec.days()
    first, last = days["train"][0], days["holdout"][1]
    if spec.feature_lookup == "daily":
        first, last = first - timedelta(days=1), last - timedelta(days=1)
    ingested = {day for day in DailyTable(store, TRANSACTIONS).days() if first <= day <= last}
    for table in (CARD_ACTIVITY, TERMINAL_RISK):
        missing = sorted(ingested - set(DailyTable(store, table).days()))
        if missing:
            raise FeatureError(
                f"{table} lacks {len(missing)} of the days from {first} to {last}, the first being {missing[0]}. "
                f"Materialize {table} for them, then build the training set again."
            )


def _with_features(
    feast: "FeatureStore", spec: TrainingSetSpec, rows: "Mapping[Split, pl.DataFrame]"
) -> "dict[Split, pl.DataFrame]":
    """Return each split with its features joined point-in-time, in the order of events."""
    import polars as pl

    entities = pl.concat([frame.with_columns(_split=pl.lit(split)) for split, frame in rows.items()])
    joined = point_in_time_features(
        feast, entities, service=spec.feature_service, features=spec.features, lookup=spec.feature_lookup
    )
    if (
        not joined["transaction_id"].equals(entities["transaction_id"])
        or joined["transaction_id"].is_duplicated().any()
    ):
        raise FeatureError(
            f"The point-in-time join of {entities.height} payments gave {joined.height}, not the same ones once each."
        )
    keys = ["transaction_id", "event_time", "customer_id", "terminal_id", LABEL]
    complete = pl.concat([entities.select(*keys, "_split"), joined.select(spec.features)], how="horizontal")
    return {
        split: complete.filter(pl.col("_split") == split).drop("_split").sort("event_time", "transaction_id")
        for split in rows
    }


def _parquet(frame: "pl.DataFrame") -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", statistics=True)
    return buffer.getvalue()


def _describe(uri: str, frame: "pl.DataFrame", found: LabelledPayments, days: tuple[date, date]) -> SplitManifest:
    return SplitManifest(
        uri=uri,
        first_day=days[0],
        last_day=days[1],
        rows=frame.height,
        positives=int(frame[LABEL].sum()),
        unlabelled=found.unlabelled,
        labelled_by_day=found.labelled_by_day,
        dropped=found.dropped,
    )
