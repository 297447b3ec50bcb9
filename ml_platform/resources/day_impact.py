"""What a day of source data went into: features, training sets, candidates, packages, endpoints, decisions, batches.

The other way round is ``decision_lineage``. Which days of features see a day is exact (``features.windows.reach``);
from there on whole windows count: a training set is touched when it may hold a row that the day had a part in.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core import names
from ml_platform.core.errors import ConfigurationError
from ml_platform.core.settings import Settings
from ml_platform.registry import lineage

if TYPE_CHECKING:
    import polars as pl

    from ml_platform.features.offline.training_set_spec import TrainingSetManifest

CARRIED = timedelta(days=38)
"""The longest time to live of a feature view: a row is served so long for a card or terminal that pauses."""

_DAY = timedelta(days=1)


class TouchedTrainingSet(BaseModel):
    """A training set with rows that the day may have had a part in."""

    model_config = ConfigDict(frozen=True)

    model: str
    fingerprint: str
    labels_known_by: datetime
    window: tuple[date, date]
    through: tuple[str, ...] = Field(description="Tables whose touched days it looks at.")
    only_carried: bool = Field(description="Only by cards or terminals that paused since the touched days.")


class TouchedCandidate(BaseModel):
    """A candidate that was fitted on a touched training set."""

    model_config = ConfigDict(frozen=True)

    model: str
    fingerprint: str
    training_job: str
    training_set_fingerprint: str
    version: int | None = Field(default=None, description="Its version in the registry, if it got there.")
    status: str | None = None
    package_arn: str | None = None


class TouchedEndpoint(BaseModel):
    """A time for which an endpoint served a touched package."""

    model_config = ConfigDict(frozen=True)

    model: str
    endpoint: str
    config: str
    version: int
    since: datetime
    until: datetime | None = Field(description="None: it still does.")


class TouchedDecisions(BaseModel):
    """Captured decisions of a model."""

    model_config = ConfigDict(frozen=True)

    model: str
    by_touched_models: int
    on_touched_features: int = Field(description="About payments of touched days, or served features of them.")
    in_all: int = Field(description="Either of both.")


class TouchedBatch(BaseModel):
    """A batch of scores by a touched package, or of payments that see the day."""

    model_config = ConfigDict(frozen=True)

    model: str
    job_name: str
    version: int
    rows: int
    days: tuple[date, date]
    by_touched_model: bool
    on_touched_features: bool


class Impact(BaseModel):
    """Everything that a day of a source table went into, as far as it is recorded."""

    model_config = ConfigDict(frozen=True)

    table: str
    day: date
    features: dict[str, tuple[date, ...]] = Field(description="Days of each feature table, those that exist.")
    training_sets: tuple[TouchedTrainingSet, ...]
    candidates: tuple[TouchedCandidate, ...]
    endpoints: tuple[TouchedEndpoint, ...]
    decisions: tuple[TouchedDecisions, ...]
    batches: tuple[TouchedBatch, ...]


def impact(settings: Settings, table: str, day: date, models: Sequence[str]) -> Impact:
    """Return what a day of a source table went into.

    Args:
        settings: Region and bucket.
        table: ``payments/transactions`` (day of the payment) or ``payments/fraud_labels`` (day the label was known).
        day: The day.
        models: Models to look at.

    Raises:
        ConfigurationError: When the table is no source, or has no such day.
    """
    store = ObjectStore.from_settings(settings)
    features = touched_features(store, table, day)
    sets = tuple(
        found
        for model in models
        for manifest in _training_sets(store, model)
        if (found := touched_training_set(manifest, table, day, features)) is not None
    )
    fingerprints = {found.fingerprint for found in sets}
    candidates = tuple(candidate for model in models for candidate in _candidates(settings, store, model, fingerprints))
    served = {
        candidate.package_arn: candidate.fingerprint for candidate in candidates if candidate.package_arn is not None
    }
    endpoints = tuple(found for model in models for found in _endpoints(store, model, served))
    return Impact(
        table=table,
        day=day,
        features=features,
        training_sets=sets,
        candidates=candidates,
        endpoints=endpoints,
        decisions=tuple(
            _decisions(store, model, set(served.values()), [end for end in endpoints if end.model == model], features)
            for model in models
        ),
        batches=tuple(found for model in models for found in _batches(store, model, served, features)),
    )


def touched_features(store: ObjectStore, table: str, day: date) -> dict[str, tuple[date, ...]]:
    """Return the days of each feature table that see a day, those that exist."""
    from ml_platform.features.tables import FRAUD_LABELS, TRANSACTIONS
    from ml_platform.resources.payments_reach import ONLINE, touched_by_label_day, touched_by_payment_day

    reach = {TRANSACTIONS: touched_by_payment_day, FRAUD_LABELS: touched_by_label_day}
    if table not in reach:
        raise ConfigurationError(f"{table!r} is no source of features. Known: {', '.join(reach)}.")
    landed = DailyTable(store, table).days()
    if day not in landed:
        span = f"There are {landed[0]} to {landed[-1]}" if landed else "No day is landed yet"
        raise ConfigurationError(f"{table} has no {day}. {span}.")
    touched = reach[table](day)
    held = {name: set(DailyTable(store, name).days()) for name in touched if name != ONLINE}
    return {name: tuple(sorted(set(touched[name]) & days)) for name, days in held.items()}


def touched_training_set(
    manifest: "TrainingSetManifest", table: str, day: date, features: Mapping[str, Sequence[date]]
) -> TouchedTrainingSet | None:
    """Return why a training set is touched, or None when it is not."""
    from ml_platform.features.catalogue.entries import all_entries
    from ml_platform.features.tables import TRANSACTIONS

    first = min(split.first_day for split in manifest.splits.values())
    last = max(split.last_day for split in manifest.splits.values())
    used = {entry.table for entry in all_entries() if entry.name in manifest.features}
    # A daily look-up reads what was there at the midnight before the payment.
    shift = _DAY if manifest.spec.feature_lookup == "daily" else timedelta(0)
    through = [name for name, days in features.items() if name in used and _overlap(days, first - shift, last - shift)]
    held = first <= day <= last if table == TRANSACTIONS else first <= day < manifest.as_of.date()
    if held:
        through.insert(0, table)
    carried = [
        name
        for name, days in features.items()
        if name in used and days and first <= max(days) + shift + CARRIED and min(days) + shift <= last
    ]
    if not through and not carried:
        return None
    return TouchedTrainingSet(
        model=manifest.model,
        fingerprint=manifest.fingerprint,
        labels_known_by=manifest.as_of,
        window=(first, last),
        through=tuple(through or carried),
        only_carried=not through,
    )


def _overlap(days: Iterable[date], first: date, last: date) -> bool:
    return any(first <= day <= last for day in days)


def _training_sets(store: ObjectStore, model: str) -> "list[TrainingSetManifest]":
    from ml_platform.features.offline.training_set_spec import TrainingSetManifest

    keys = (key for key in store.keys(names.model_prefix(model, "training-sets")) if key.endswith("/manifest.json"))
    return [TrainingSetManifest.model_validate_json(store.get(key)) for key in keys]


def _candidates(
    settings: Settings, store: ObjectStore, model: str, training_sets: set[str]
) -> Iterable[TouchedCandidate]:
    """Candidates by their records, and packages that were registered before candidates were kept."""
    from ml_platform.registry import lookup

    packages = {
        package.properties.get(lookup.FINGERPRINT, package.arn): package
        for package in lookup.list_packages(settings.region, names.model_package_group(model))
        if package.properties.get("training_set_fingerprint") in training_sets
    }
    jobs = {
        record.fingerprint: (record.training_job, record.training_set_fingerprint)
        for record in lineage.candidates(store, model)
        if record.training_set_fingerprint in training_sets
    }
    for fingerprint, package in packages.items():
        properties = package.properties
        jobs.setdefault(fingerprint, (properties.get("training_job", ""), properties["training_set_fingerprint"]))
    for fingerprint, (job, training_set) in sorted(jobs.items()):
        registered = packages.get(fingerprint)
        yield TouchedCandidate(
            model=model,
            fingerprint=fingerprint,
            training_job=job,
            training_set_fingerprint=training_set,
            version=registered.version if registered else None,
            status=registered.status if registered else None,
            package_arn=registered.arn if registered else None,
        )


def _endpoints(store: ObjectStore, model: str, served: Mapping[str, str]) -> Iterable[TouchedEndpoint]:
    past = lineage.deployments(store, model)
    for record, after in zip(past, [*past[1:], None], strict=True):
        if record.package_arn in served:
            facts = record.model_dump(include={"model", "endpoint", "config", "version", "since"})
            yield TouchedEndpoint(**facts, until=after.since if after else None)


def _decisions(
    store: ObjectStore,
    model: str,
    fingerprints: set[str],
    endpoints: Sequence[TouchedEndpoint],
    features: Mapping[str, Sequence[date]],
) -> TouchedDecisions:
    import polars as pl

    from ml_platform.resources.captured_decisions import all_decisions

    made = all_decisions(store, model)
    # The answer says which artifact gave it; where it does not, the time says which deployment did.
    unsaid = pl.col("artifact_fingerprint") == ""
    while_served = pl.lit(value=False)
    for end in endpoints:
        after = pl.col("inference_time") >= end.since.replace(microsecond=0)
        while_served |= after if end.until is None else after & (pl.col("inference_time") < end.until)
    by_model = pl.col("artifact_fingerprint").is_in(sorted(fingerprints)) | (unsaid & while_served)
    on_features = pl.col("inference_id").is_in(_inference_ids(store, features))
    counts = made.select(
        by_touched_models=by_model.sum(), on_touched_features=on_features.sum(), in_all=(by_model | on_features).sum()
    )
    return TouchedDecisions(model=model, **counts.row(0, named=True))


def _inference_ids(store: ObjectStore, features: Mapping[str, Sequence[date]]) -> "pl.Series":
    """Payments of days that were served features of a touched day: the online store is a midnight behind."""
    import polars as pl

    from ml_platform.features.tables import TRANSACTIONS
    from ml_platform.scoring.transaction import inference_id

    days = sorted({shown for held in features.values() for day in held for shown in (day, day + _DAY)})
    if not days:
        return pl.Series("inference_id", [], dtype=pl.String)
    payments = DailyTable(store, TRANSACTIONS).read(days[0], days[-1], ("transaction_id", "event_time"))
    if payments.is_empty():
        return pl.Series("inference_id", [], dtype=pl.String)
    of_days = payments.filter(pl.col("event_time").dt.date().is_in(days))
    return pl.Series("inference_id", [inference_id(one) for one in of_days["transaction_id"]], dtype=pl.String)


def _batches(
    store: ObjectStore, model: str, served: Mapping[str, str], features: Mapping[str, Sequence[date]]
) -> Iterable[TouchedBatch]:
    for record in lineage.batches(store, model):
        by_model = record.package_arn in served
        on_features = any(_overlap(days, record.first_day - _DAY, record.last_day) for days in features.values())
        if by_model or on_features:
            yield TouchedBatch(
                model=model,
                job_name=record.job_name,
                version=record.version,
                rows=record.rows,
                days=(record.first_day, record.last_day),
                by_touched_model=by_model,
                on_touched_features=on_features,
            )
