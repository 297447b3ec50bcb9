"""The short way of ``get_online_features``: from rows of bytes to columns of Python values, no protobuf between.

Feast resolves what is asked for (its cache); a plan keeps what follows from that. Anything unusual (on-demand views
that are not in python mode, views without entities, renamed keys) has no plan, and Feast's own way is taken.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feast import FeatureView, OnDemandFeatureView, RepoConfig, utils
from feast.feature_service import FeatureService
from feast.infra.registry.base_registry import BaseRegistry

from ml_platform.core.errors import FeatureError
from ml_platform.features.online.codec import RowSchema, entity_key, schema_of
from ml_platform.features.online.finishing import microseconds
from ml_platform.features.online.messages import python_value
from ml_platform.features.online.response import ABSENT, EXPIRED, PackedResponse, ViewRows
from ml_platform.features.online.values import OnlineValues

INSTANT = "event_timestamp"
"""Column of the rows that says as of when values count; named as it is in ``get_historical_features``."""

Decode = Callable[[RowSchema, bytes], tuple[int, dict[str, Any]]]
"""Event time and values of a row that another schema wrote."""

_PLAIN_TYPES = frozenset({"INT64", "INT32", "DOUBLE", "FLOAT", "BYTES", "STRING"})


@dataclass(frozen=True)
class ViewPlan:
    """What to read of one feature view."""

    table: str
    keys: tuple[str, ...]
    schema: RowSchema
    ttl_us: int | None
    columns: tuple[tuple[str, int], ...]
    """Name in the response, and place in the schema, of each feature that is asked for or computed from."""
    odd: frozenset[int]
    """Places whose values need a conversion."""


@dataclass(frozen=True)
class OnDemandPlan:
    """One transformation at request time."""

    transform: Callable[[dict[str, Any]], dict[str, Any]]
    outputs: tuple[tuple[str, str], ...]
    """Name that the transformation gives, and name in the response."""


@dataclass(frozen=True)
class ReadingPlan:
    """Everything that follows from the list of features, and not from the rows."""

    views: tuple[ViewPlan, ...]
    on_demand: tuple[OnDemandPlan, ...]
    join_keys: tuple[str, ...]
    request_data: tuple[str, ...]
    outputs: tuple[str, ...]
    types: Mapping[str, str]


class Plans:
    """The plans of one Feast store, until its registry is read anew.

    Not Feast's own cache: that is one for all stores of a process, and each clears it for the others.
    """

    def __init__(self) -> None:
        self._read_at: datetime | None = None
        self._plans: dict[Any, ReadingPlan | None] = {}

    def find(
        self,
        config: RepoConfig,
        features: "list[str] | FeatureService",
        registry: BaseRegistry,
        project: str,
        *,
        full_names: bool,
    ) -> ReadingPlan | None:
        """Return the plan for these features, or None when Feast's own way must be taken."""
        service = isinstance(features, FeatureService)
        key = (project, full_names, service, features.name if isinstance(features, FeatureService) else tuple(features))
        read_at = getattr(registry, "cached_registry_proto_created", None)
        is_valid = getattr(registry, "is_cache_valid", None)
        if read_at is not None and read_at == self._read_at and key in self._plans and is_valid and is_valid():
            return self._plans[key]
        context = utils._get_cached_request_context(registry, project, features, full_names)  # noqa: SLF001  # as Feast's own stores do
        plan = _planned(config, context, full_names=full_names)
        read_at = getattr(registry, "cached_registry_proto_created", None)
        if read_at != self._read_at:
            self._plans, self._read_at = {}, read_at
        self._plans[key] = plan
        return plan


def read_online(plan: ReadingPlan, values: OnlineValues, entity_rows: Any, decode: Decode) -> PackedResponse:
    """Read and compute the planned features of some entity rows."""
    given = _columns(entity_rows)
    _require(plan, given)
    count = len(next(iter(given.values())))
    instants = [microseconds(instant) for instant in given[INSTANT]] if INSTANT in given else None
    now = time.time_ns() // 1000
    asked, places = [], []
    for view in plan.views:
        keys = given[view.keys[0]] if len(view.keys) == 1 else list(zip(*(given[k] for k in view.keys), strict=True))
        distinct = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        parts = ((key,) if len(view.keys) == 1 else key for key in distinct)
        asked.append((view.table, [entity_key(part) for part in parts]))
        places.append([distinct[key] for key in keys])
    found = values.read(asked)
    columns: dict[str, list[Any]] = {name: given[name] for name in (*plan.join_keys, *plan.request_data)}
    sources: dict[str, ViewRows] = {}
    for view, rows, where in zip(plan.views, found, places, strict=True):
        _read_view(view, rows, where, instants or [now] * count, decode, columns, sources)
    for on_demand in plan.on_demand:
        result = on_demand.transform(columns)
        columns.update({name: result[produced] for produced, name in on_demand.outputs})
    return PackedResponse({name: columns[name] for name in plan.outputs}, sources, plan.types)


def _read_view(
    view: ViewPlan,
    rows: Sequence[bytes | None],
    where: Sequence[int],
    instants: Sequence[int],
    decode: Decode,
    columns: dict[str, list[Any]],
    sources: dict[str, ViewRows],
) -> None:
    """Add one view's columns: each distinct key is parsed once, then spread over the rows that asked for it."""
    nothing: Sequence[Any] = (None,) * len(view.schema.names)
    parsed: list[tuple[int, Sequence[Any]]] = []
    for row in rows:
        if row is None:
            parsed.append((ABSENT, nothing))
        elif schema_of(row) == view.schema.id:
            parsed.append(view.schema.unpack(row))
        else:
            event_us, by_name = decode(view.schema, row)
            parsed.append((event_us, list(by_name.values())))
    events, found = [], []
    limit = view.ttl_us
    for place, instant in zip(where, instants, strict=True):
        event_us, values = parsed[place]
        if event_us >= 0 and limit is not None and instant - event_us > limit:
            event_us, values = EXPIRED, nothing
        events.append(event_us)
        found.append(values)
    shared = ViewRows(events)
    by_place = list(zip(*found, strict=True)) if found else [()] * len(nothing)
    for name, place in view.columns:
        column = by_place[place]
        if place in view.odd:
            kind = view.schema.fields[place][1]
            columns[name] = [python_value(value, kind) for value in column]
        else:
            columns[name] = list(column)
        sources[name] = shared


def _planned(config: RepoConfig, context: Any, *, full_names: bool) -> ReadingPlan | None:
    references, on_demand, _, _, join_keys, grouped, _, request_data, entityless = context
    if entityless or not all(_simple(view) for view, _ in grouped) or not all(map(_computable, on_demand)):
        return None
    types: dict[str, str] = {}
    views = tuple(_view_plan(config, view, features, types, full_names=full_names) for view, features in grouped)
    transformations = {view.name: view for view in on_demand}
    computed: dict[str, list[tuple[str, str]]] = {}
    outputs = []
    for reference in references:
        view_name, _, feature = utils._parse_feature_ref(reference)  # noqa: SLF001
        outputs.append(f"{view_name}__{feature}" if full_names else feature)
        if view_name in transformations:
            computed.setdefault(view_name, []).append((feature, outputs[-1]))
    for name, view in transformations.items():
        for field in view.features:
            types[f"{name}__{field.name}" if full_names else field.name] = field.dtype.to_value_type().name
    used = [key for view in views for key in view.keys]
    return ReadingPlan(
        views=views,
        on_demand=tuple(
            OnDemandPlan(transformations[name].feature_transformation.udf, tuple(outputs_of))
            for name, outputs_of in computed.items()
        ),
        join_keys=tuple(key for key in dict.fromkeys(used) if key in join_keys),
        request_data=tuple(sorted(request_data)),
        outputs=(*dict.fromkeys(used), *outputs),
        types=types,
    )


def _view_plan(
    config: RepoConfig, view: FeatureView, features: Sequence[str], types: dict[str, str], *, full_names: bool
) -> ViewPlan:
    schema = RowSchema.of(view)
    place_of = {name: place for place, name in enumerate(schema.names)}
    called = view.projection.name_to_use()  # type: ignore[no-untyped-call]
    columns = tuple((f"{called}__{name}" if full_names else name, place_of[name]) for name in features)
    types.update({name: schema.fields[place][1] for name, place in columns})
    return ViewPlan(
        table=f"{config.project}.{view.name}",
        keys=tuple(column.name for column in view.entity_columns),
        schema=schema,
        ttl_us=int(view.ttl.total_seconds() * 1_000_000) if view.ttl else None,
        columns=columns,
        odd=frozenset(place for _, place in columns if schema.fields[place][1] not in _PLAIN_TYPES),
    )


def _simple(view: FeatureView) -> bool:
    return bool(view.entity_columns) and not view.projection.join_key_map and view.projection.version_tag is None


def _computable(view: OnDemandFeatureView) -> bool:
    return (
        view.mode == "python"
        and not view.singleton
        and not view.aggregations
        and not view.write_to_online_store
        and not view.projection.name_alias
    )


def _columns(entity_rows: Any) -> dict[str, list[Any]]:
    if isinstance(entity_rows, list):
        names = entity_rows[0].keys() if entity_rows else ()
        try:
            return {name: [row[name] for row in entity_rows] for name in names}
        except KeyError as error:
            raise FeatureError(f"Every entity row must have the same columns; one lacks {error}.") from error
    return {name: list(getattr(column, "val", column)) for name, column in entity_rows.items()}


def _require(plan: ReadingPlan, given: Mapping[str, list[Any]]) -> None:
    needed = dict.fromkeys([*(key for view in plan.views for key in view.keys), *plan.request_data])
    missing = [name for name in needed if name not in given]
    if missing or not given:
        raise FeatureError(f"The entity rows lack {', '.join(missing) or 'any column'}; these features need them.")
