"""Feast's offline store for our daily tables, named in ``feature_store.yaml`` by its class.

It reads with ``features.partitions`` only the days that can matter, and joins with ``features.asof``: exact, every
entity row once, in order. Importing this module imports Feast (seconds); only Feast should.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
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
from feast.transformation.python_transformation import PythonTransformation
from pydantic import Field

from ml_platform.core.errors import FeatureError
from ml_platform.features.offline.asof import AsofRule, join_as_of, newest_per_key
from ml_platform.features.partitions import Partitions, open_table, rows_between, rows_of_days

COUNTS_ITSELF = "counts_itself"
"""Tag of a feature view whose windows hold the event they are about, as the Handbook's do: set to ``true``, a row of
the very instant matches. Without it a row matches only afterwards, so that no event sees itself."""


class AsofOfflineStoreConfig(FeastConfigBaseModel):
    """Where the tables are."""

    type: str = "ml_platform.features.offline.asof_store.AsofOfflineStore"
    location: str = Field(
        description="s3://bucket, or a directory, that holds tables/<name>/date=<day>/part-0.parquet."
    )
    region: str = Field(default="us-east-1", description="Region of the bucket.")
    ignore_time_to_live: bool = Field(
        default=False, description="Let rows live for ever: to find out what a store that serves expired rows served."
    )


class AsofRetrievalJob(RetrievalJob):
    """A join or read that happens when its result is asked for."""

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
        """The on-demand views that are left to Feast to compute."""
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
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        instant = infer_event_timestamp_from_entity_df(dict(entity_df.dtypes.items()))
        entities = pl.from_pandas(entity_df).with_columns(pl.col(instant).dt.cast_time_unit("us"))

        def compute() -> pl.DataFrame:
            frames = [entities]
            for view in feature_views:
                wanted = _wanted(view, feature_refs)
                found = _features_of(
                    config, view, wanted, entities, instant, only_if_created=filter_by_created_timestamp
                )
                frames.append(_named(found, view, full=full_feature_names))
            for request_view in filter(_reads_only_the_request, on_demand):
                found = _computed(request_view, _wanted(request_view, feature_refs), entities)
                frames.append(_named(found, request_view, full=full_feature_names))
            return pl.concat(frames, how="horizontal")

        return AsofRetrievalJob(
            compute,
            on_demand=[view for view in on_demand if not _reads_only_the_request(view)],
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


def _wanted(view: FeatureView | OnDemandFeatureView, feature_refs: list[str]) -> list[str]:
    """Return the features asked for of this view, in the order asked."""
    called = view.projection.name_to_use()  # type: ignore[no-untyped-call]
    return [ref.split(":")[1] for ref in feature_refs if ref.split(":")[0] == called]


def _named(frame: pl.DataFrame, view: FeatureView | OnDemandFeatureView, *, full: bool) -> pl.DataFrame:
    """Return the features under the names that Feast gives them."""
    prefix = f"{view.projection.name_alias or view.name}__" if full else ""
    return frame.rename({name: f"{prefix}{name}" for name in frame.columns})


def _reads_only_the_request(view: OnDemandFeatureView) -> bool:
    """Whether we compute this view. Feast would, but turns every column of the join into Python objects for it.

    That took 6 s of 8 for 470,000 rows. Views that also read looked-up features are left to Feast.
    """
    return view.mode == "python" and not view.singleton and not view.source_feature_view_projections


def _computed(view: OnDemandFeatureView, wanted: list[str], entities: pl.DataFrame) -> pl.DataFrame:
    transformation = view.feature_transformation
    if not isinstance(transformation, PythonTransformation):
        raise FeatureError(f"On-demand feature view {view.name} has no Python transformation.")
    inputs = view.get_request_data_schema()
    outputs = transformation.udf({name: entities[name].to_list() for name in inputs})
    return pl.DataFrame({name: outputs[name] for name in wanted})


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
        time_to_live=None if config.offline_store.ignore_time_to_live else view.ttl or None,
        only_if_created=only_if_created,
        sees_own_instant=view.tags.get(COUNTS_ITSELF) == "true",
    )
    asked = entities.select(**{key: pl.col(column) for key, column in entity_column_of.items()}, _at=instant)
    earliest, latest = asked["_at"].min(), asked["_at"].max()
    if not isinstance(earliest, datetime) or not isinstance(latest, datetime):
        raise FeatureError(f"No entity row has a timestamp in {instant}; nothing can be joined point-in-time.")
    start = earliest - rule.time_to_live if rule.time_to_live else None
    # Whole days: the join itself ignores what is too old or too new, and a filter would copy all rows once more.
    rows = rows_of_days(_table(config, source), _columns(rule, wanted), start, latest)
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
    return rows_between(_table(config, source), columns, event_column, start, end)


def _table(config: RepoConfig, source: DataSource) -> Partitions:
    if not isinstance(source, FileSource):
        raise FeatureError(f"Source {source.name} is not a table of this platform.")
    return open_table(config.offline_store.location, config.offline_store.region, source.path)
