"""Feast's offline store for our daily tables, named in ``feature_store.yaml`` by its class.

It reads only the days that can matter, through boto3 as everything else here, and joins with ``features.asof``:
exact, every entity row once, in order. Importing this module imports Feast (seconds); only Feast should.
"""

import io
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
from feast import FeatureView, OnDemandFeatureView
from feast.data_source import DataSource
from feast.infra.offline_stores.file_source import FileSource
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob, RetrievalMetadata
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from pydantic import Field

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.core import names
from ml_platform.core.errors import FeatureError
from ml_platform.features.asof import AsofRule, join_as_of, newest_per_key

_S3 = "s3://"


class AsofOfflineStoreConfig(FeastConfigBaseModel):
    """Where the tables are."""

    type: str = "ml_platform.features.asof_store.AsofOfflineStore"
    location: str = Field(
        description="s3://bucket, or a directory, that holds tables/<name>/date=<day>/part-0.parquet."
    )
    region: str = Field(default="us-east-1", description="Region of the bucket.")


class AsofRetrievalJob(RetrievalJob):
    """A join or read that happens when its result is asked for; Feast adds on-demand features to it."""

    def __init__(
        self,
        compute: Callable[[], pl.DataFrame],
        *,
        on_demand: Sequence[OnDemandFeatureView] = (),
        full_feature_names: bool = False,
        metadata: RetrievalMetadata | None = None,
    ) -> None:
        self._compute = compute
        self._on_demand = list(on_demand)
        self._full_feature_names = full_feature_names
        self._metadata = metadata

    @property
    def full_feature_names(self) -> bool:
        """Whether features carry their view's name."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """The on-demand views that Feast computes on top."""
        return self._on_demand

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """What was asked for."""
        return self._metadata

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:  # noqa: ARG002  # Feast's signature
        # Feast's type map knows neither string views nor other new Arrow types.
        return self._compute().to_arrow(compat_level=pl.CompatLevel.oldest())

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._to_arrow_internal(timeout).to_pandas()


class AsofOfflineStore(OfflineStore):
    """Point-in-time joins and reads over daily Parquet partitions."""

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,  # noqa: FBT001, FBT002  # Feast's signature
        filter_by_created_timestamp: bool = False,  # noqa: FBT001, FBT002
        **unsupported: Any,
    ) -> AsofRetrievalJob:
        """Return the entity rows with the features that existed at each one's timestamp."""
        if not isinstance(entity_df, pd.DataFrame) or unsupported:
            raise FeatureError("This offline store joins to a pandas frame of entities; pass one as entity_df.")
        instant = infer_event_timestamp_from_entity_df(dict(entity_df.dtypes.items()))
        entities = pl.from_pandas(entity_df).with_columns(pl.col(instant).dt.cast_time_unit("us"))

        def compute() -> pl.DataFrame:
            frames = [entities]
            for view in feature_views:
                called = view.projection.name_to_use()  # type: ignore[no-untyped-call]
                wanted = [ref.split(":")[1] for ref in feature_refs if ref.split(":")[0] == called]
                found = _features_of(
                    config, view, wanted, entities, instant, only_if_created=filter_by_created_timestamp
                )
                prefix = f"{view.projection.name_alias or view.name}__" if full_feature_names else ""
                frames.append(found.rename({name: f"{prefix}{name}" for name in wanted}))
            return pl.concat(frames, how="horizontal")

        return AsofRetrievalJob(
            compute,
            on_demand=OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry),
            full_feature_names=full_feature_names,
            metadata=RetrievalMetadata(
                features=feature_refs,
                keys=[column for column in entity_df.columns if column != instant],
                min_event_timestamp=entity_df[instant].min(),
                max_event_timestamp=entity_df[instant].max(),
            ),
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> AsofRetrievalJob:
        """Return each key's newest row of ``[start_date, end_date]``."""
        rule = AsofRule(join_key_columns, timestamp_field, created_timestamp_column or None)
        columns = _columns(rule, feature_name_columns)
        return AsofRetrievalJob(
            lambda: newest_per_key(_rows(config, data_source, columns, timestamp_field, start_date, end_date), rule)
        )

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> AsofRetrievalJob:
        """Return all rows of ``[start_date, end_date]``."""
        rule = AsofRule(join_key_columns, timestamp_field, created_timestamp_column or None)
        columns = _columns(rule, feature_name_columns)
        return AsofRetrievalJob(lambda: _rows(config, data_source, columns, timestamp_field, start_date, end_date))

    def validate_data_source(self, config: RepoConfig, data_source: DataSource) -> None:
        """Accept any of our tables: they fill day by day, and may be applied before their first day."""
        _table(config, data_source)


def _features_of(
    config: RepoConfig,
    view: FeatureView,
    wanted: list[str],
    entities: pl.DataFrame,
    instant: str,
    *,
    only_if_created: bool,
) -> pl.DataFrame:
    """Return one view's features for the entities, in their order."""
    source = view.batch_source
    if source is None:
        raise FeatureError(f"Feature view {view.name} has no table behind it; it cannot be joined.")
    # Feast lets a service rename a view's join key, e.g. the same card view for payer and payee.
    entity_column_of = {
        column.name: view.projection.join_key_map.get(column.name, column.name) for column in view.entity_columns
    }
    rule = AsofRule(
        keys=list(entity_column_of),
        event_column=source.timestamp_field,
        created_column=source.created_timestamp_column or None,
        time_to_live=view.ttl or None,
        only_if_created=only_if_created,
    )
    asked = entities.select(**{key: pl.col(column) for key, column in entity_column_of.items()}, _at=instant)
    earliest, latest = asked["_at"].min(), asked["_at"].max()
    if not isinstance(earliest, datetime) or not isinstance(latest, datetime):
        raise FeatureError(f"No entity row has a timestamp in {instant}; nothing can be joined point-in-time.")
    start = earliest - rule.time_to_live if rule.time_to_live else None
    rows = _rows(config, source, _columns(rule, wanted), rule.event_column, start, latest)
    return join_as_of(asked, rows, "_at", wanted, rule)


def _columns(rule: AsofRule, features: Sequence[str]) -> list[str]:
    times = [rule.event_column, *([rule.created_column] if rule.created_column else [])]
    return [*rule.keys, *features, *times]


def _rows(
    config: RepoConfig,
    source: DataSource,
    columns: list[str],
    event_column: str,
    start: datetime | None,
    end: datetime | None,
) -> pl.DataFrame:
    """Read the partitions that can hold rows of ``[start, end]``, and of them these rows."""
    table = _table(config, source)
    days = table.days()
    first = max(_utc(start).date() if start else date.min, days[0] if days else date.max)
    last = min(_utc(end).date() if end else date.max, days[-1] if days else date.min)
    frame = table.read(first, last, columns) if first <= last else pl.DataFrame()
    if not frame.width:
        raise FeatureError(
            f"{table.name} has no day between {first if days else start} and {last if days else end}. "
            "Compute its features first."
        )
    within = pl.lit(value=True)
    if start:
        within &= pl.col(event_column) >= _utc(start)
    if end:
        within &= pl.col(event_column) <= _utc(end)
    return frame.filter(within)


def _utc(instant: datetime) -> datetime:
    """Return the instant in UTC; Feast hands over naive ones that mean UTC."""
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


class _LocalTable:
    """The same layout in a directory; enough of ``DailyTable`` to read it."""

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        self.name = name

    def days(self) -> list[date]:
        folders = (self._root / names.table_prefix(self.name)).glob("date=*")
        return sorted(date.fromisoformat(folder.name.removeprefix("date=")) for folder in folders)

    def read(self, first: date, last: date, columns: Sequence[str] | None = None) -> pl.DataFrame:
        span = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
        paths = [self._root / names.table_partition(self.name, day) for day in span]
        contents = [io.BytesIO(path.read_bytes()) for path in paths if path.exists()]
        frames = [pl.read_parquet(content, columns=list(columns) if columns else None) for content in contents]
        return pl.concat(frames) if frames else pl.DataFrame()


def _table(config: RepoConfig, source: DataSource) -> DailyTable | _LocalTable:
    if not isinstance(source, FileSource):
        raise FeatureError(f"Source {source.name} is not a table of this platform.")
    location = config.offline_store.location
    if location.startswith(_S3):
        store = ObjectStore(bucket=location.removeprefix(_S3).strip("/"), region=config.offline_store.region)
        return DailyTable(store, source.path)
    return _LocalTable(Path(location), source.path)
