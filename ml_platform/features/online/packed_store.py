"""Feast's online store for our rows, named in ``feature_store.yaml`` by its class.

Feast's own calls work on it: ``get_online_features``, ``materialize``, ``push``, ``write_to_online_store``. The first
takes the short way of ``features.online.reading`` whenever it can. What is kept here never goes back in time, takes
corrections, honours time to live and says of an unknown key that it is not found. Where rows are kept is a setting
(``features.online.values``). Importing this module imports Feast (seconds); only Feast should.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from feast import Entity, FeatureView, RepoConfig
from feast.feature_service import FeatureService
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.registry.base_registry import BaseRegistry
from feast.online_response import OnlineResponse
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel
from pydantic import Field

from ml_platform.features.online.codec import HEADER, RowSchema, entity_key, event_us_of, schema_of
from ml_platform.features.online.finishing import microseconds
from ml_platform.features.online.messages import message_of, value_of
from ml_platform.features.online.reading import Plans, read_online
from ml_platform.features.online.value_stores import open_values
from ml_platform.features.online.values import OnlineStoreUnavailableError, OnlineValues, Swap

_KEEP_LONGER = timedelta(days=2)
"""Rows are forgotten this long after their time to live, so that a late clock loses nothing."""

_SWAP_ATTEMPTS = 50

WriteRow = tuple[EntityKey, dict[str, Value], datetime, datetime | None]


class PackedOnlineStoreConfig(FeastConfigBaseModel):
    """Where the rows are."""

    type: str = "ml_platform.features.online.packed_store.PackedOnlineStore"
    address: str = Field(description="sqlite, redis://host:port/db (or rediss, valkey, unix), or dynamodb.")
    sqlite_path: Path = Field(description="File of the SQLite store.")
    region: str = Field(default="us-east-1", description="Region of DynamoDB.")


class PackedOnlineStore(OnlineStore):
    """Rows as bytes, newest wins, in SQLite, Valkey or DynamoDB."""

    def __init__(self) -> None:
        self._opened: tuple[str, OnlineValues] | None = None
        self._plans = Plans()
        self._schemas: dict[int, RowSchema] = {}
        self._written_schemas: set[int] = set()

    def values(self, config: RepoConfig) -> OnlineValues:
        """Return the rows behind this store."""
        settings = config.online_store
        if self._opened is None or self._opened[0] != settings.address:
            self._opened = settings.address, open_values(settings.address, settings.sqlite_path, settings.region)
        return self._opened[1]

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],  # noqa: ARG002  # Feast's signature
        entities_to_keep: Sequence[Entity],  # noqa: ARG002
        partial: bool,  # noqa: ARG002, FBT001
    ) -> None:
        """Make sure that the views' tables exist, and drop those of views that are gone."""
        values = self.values(config)
        values.create([_schemas_table(config), *(table_of(config, view) for view in tables_to_keep)])
        values.drop([table_of(config, view) for view in tables_to_delete])

    def teardown(
        self,
        config: RepoConfig,
        tables: Sequence[FeatureView],
        entities: Sequence[Entity],  # noqa: ARG002  # Feast's signature
    ) -> None:
        """Remove all rows."""
        self.values(config).drop([_schemas_table(config), *(table_of(config, view) for view in tables)])

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[WriteRow],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write rows that Feast built, each unless the store's is newer."""
        schema = self._announced(config, RowSchema.of(table))
        rows: dict[bytes, bytes] = {}
        for key, messages, instant, _ in data:
            name = entity_key(_key_values(table, key))
            row = schema.pack(microseconds(instant), {n: value_of(m) for n, m in messages.items()})
            if name not in rows or event_us_of(rows[name]) <= event_us_of(row):
                rows[name] = row
        self.values(config).write_newest(table_of(config, table), rows, keep_for(table))
        if progress:
            progress(len(data))

    def write_table(self, config: RepoConfig, view: FeatureView, rows: pa.Table, event_column: str) -> int:
        """Write the rows of an Arrow table, one per key, each unless the store's is newer; return how many were."""
        schema = self._announced(config, RowSchema.of(view))
        event_us = rows.column(event_column).combine_chunks().cast(pa.timestamp("us")).cast(pa.int64())
        keys = [rows.column(key).to_pylist() for key in _join_keys(view)]
        packed = dict(zip(map(entity_key, zip(*keys, strict=True)), schema.pack_table(rows, event_us), strict=True))
        return self.values(config).write_newest(table_of(config, view), packed, keep_for(view))

    def revise(
        self,
        config: RepoConfig,
        view: FeatureView,
        changes: Mapping[bytes, Callable[[Mapping[str, Any] | None], tuple[int, Mapping[str, Any]] | None]],
    ) -> int:
        """Change rows by what is in them, safe against anybody who changes them at the same time.

        Args:
            config: Feast's configuration.
            view: Whose rows.
            changes: By key, a function from the row's values (None: there is no row) to event time in microseconds
                and new values, or to None when nothing changes. It may be called more than once.

        Returns:
            How many rows were written.
        """
        schema, table, values = self._announced(config, RowSchema.of(view)), table_of(config, view), self.values(config)
        open_keys, written = list(changes), 0
        for _ in range(_SWAP_ATTEMPTS):
            (seen,) = values.read([(table, open_keys)])
            swaps = []
            for key, row in zip(open_keys, seen, strict=True):
                changed = changes[key](None if row is None else self.values_of(config, schema, row)[1])
                if changed is not None:
                    revision = 1 if row is None else HEADER.unpack_from(row)[1] + 1
                    swaps.append(Swap(key, row, schema.pack(changed[0], changed[1], revision & 0xFFFFFFFF)))
            done = values.swap(table, swaps, keep_for(view))
            written += sum(done)
            open_keys = [swap.key for swap, success in zip(swaps, done, strict=True) if not success]
            if not open_keys:
                return written
        raise OnlineStoreUnavailableError(
            f"{len(open_keys)} rows of {view.name} were changed by others {_SWAP_ATTEMPTS} times in a row. Is a second "
            "stream worker running? Stop it, then try again."
        )

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        """Return event time and values of each key as Feast's messages; nothing for unknown and for expired ones."""
        schema = RowSchema.of(table)
        kinds = dict(schema.fields)
        names = requested_features or list(kinds)
        (rows,) = self.values(config).read(
            [(table_of(config, table), [entity_key(_key_values(table, key)) for key in entity_keys])]
        )
        limit = int(table.ttl.total_seconds() * 1e6) if table.ttl else None
        oldest = None if limit is None else time.time_ns() // 1000 - limit
        found: list[tuple[datetime | None, dict[str, Value] | None]] = []
        for row in rows:
            if row is None or (oldest is not None and event_us_of(row) < oldest):
                found.append((None, None))
                continue
            event_us, values = self.values_of(config, schema, row)
            instant = datetime.fromtimestamp(event_us / 1e6, UTC)
            found.append((instant, {name: message_of(values[name], kinds[name]) for name in names}))
        return found

    def get_online_features(
        self,
        config: RepoConfig,
        features: list[str] | FeatureService,
        entity_rows: Any,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,  # noqa: FBT001, FBT002  # Feast's signature
        include_feature_view_version_metadata: bool = False,  # noqa: FBT001, FBT002
    ) -> OnlineResponse:
        """Return the features of each row, in the order asked for.

        A column ``event_timestamp`` in the rows says as of when values count, as it does offline; without it that is
        now. Values past their view's time to live then are null.
        """
        plan = None
        if not include_feature_view_version_metadata:
            plan = self._plans.find(config, features, registry, project, full_names=full_feature_names)
        if plan is None:
            return super().get_online_features(
                config,
                features,
                entity_rows,
                registry,
                project,
                full_feature_names,
                include_feature_view_version_metadata,
            )
        return read_online(
            plan, self.values(config), entity_rows, lambda schema, row: self.values_of(config, schema, row)
        )

    def values_of(self, config: RepoConfig, schema: RowSchema, row: bytes) -> tuple[int, dict[str, Any]]:
        """Return event time and values by name of a row, whatever schema it was written under."""
        written_as = schema if schema_of(row) == schema.id else self._known_schema(config, schema_of(row))
        event_us, values = written_as.unpack(row)
        kinds = dict(written_as.fields)
        found = dict(zip(written_as.names, values, strict=True))
        return event_us, {name: found.get(name) if kinds.get(name) == kind else None for name, kind in schema.fields}

    def _announced(self, config: RepoConfig, schema: RowSchema) -> RowSchema:
        """Return the schema, once it is kept beside the rows written under it."""
        if schema.id not in self._written_schemas:
            content = {_schema_key(schema.id): HEADER.pack(0, 0, schema.id) + schema.to_json().encode()}
            self.values(config).write_newest(_schemas_table(config), content, None)
            self._written_schemas.add(schema.id)
        return schema

    def _known_schema(self, config: RepoConfig, number: int) -> RowSchema:
        if number not in self._schemas:
            ((row,),) = self.values(config).read([(_schemas_table(config), [_schema_key(number)])])
            if row is None:
                raise OnlineStoreUnavailableError(
                    f"A row was written under schema {number:08x}, which the online store does not know. "
                    "Materialize payments/online_features to write the rows anew."
                )
            self._schemas[number] = RowSchema.from_json(row[HEADER.size :])
        return self._schemas[number]


def table_of(config: RepoConfig, view: FeatureView) -> str:
    """Return where the rows of a view are."""
    return f"{config.project}.{view.name}"


def keep_for(view: FeatureView) -> timedelta | None:
    """Return after which time without a write a view's row may be forgotten."""
    return view.ttl + _KEEP_LONGER if view.ttl else None


def _schemas_table(config: RepoConfig) -> str:
    return f"{config.project}.schemas"


def _schema_key(number: int) -> bytes:
    return number.to_bytes(4, "little")


def _join_keys(view: FeatureView) -> list[str]:
    return [column.name for column in view.entity_columns]


def _key_values(view: FeatureView, key: EntityKey) -> list[Any]:
    """Return the values of Feast's key in the view's order; Feast sorts them by name."""
    by_name = {name: value_of(value) for name, value in zip(key.join_keys, key.entity_values, strict=True)}
    return [by_name[name] for name in _join_keys(view)]
