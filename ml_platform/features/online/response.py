"""What ``get_online_features`` returns: Feast's response, holding columns, its protobuf form built when asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from feast.online_response import TIMESTAMP_POSTFIX, OnlineResponse
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus, GetOnlineFeaturesResponse
from feast.type_map import python_values_to_proto_values
from feast.value_type import ValueType
from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped]

ABSENT, EXPIRED = -1, -2
"""In place of an event time: the key is unknown; its row is past its time to live."""


@dataclass(frozen=True, slots=True)
class ViewRows:
    """What the features of one view have in common."""

    events_us: list[int]
    """Event time of each row's values in microseconds, or ``ABSENT`` or ``EXPIRED``."""


class PackedResponse(OnlineResponse):
    """Features of some entity rows, in the order asked for, after the join keys."""

    def __init__(
        self, columns: dict[str, list[Any]], sources: Mapping[str, ViewRows], types: Mapping[str, str]
    ) -> None:
        """Hold columns.

        Args:
            columns: Values by name.
            sources: The rows that features come from; join keys and computed features have none.
            types: Feast value type of each feature.
        """
        self._columns = columns
        self._sources = sources
        self._types = types

    @cached_property
    def proto(self) -> GetOnlineFeaturesResponse:  # type: ignore[override]  # an attribute in Feast
        """The response as Feast's servers send it."""
        response = GetOnlineFeaturesResponse()
        response.metadata.feature_names.val.extend(self._columns)
        for name, column in self._columns.items():
            kind = ValueType[self._types[name]] if name in self._types else ValueType.UNKNOWN
            events = self._sources[name].events_us if name in self._sources else [0] * len(column)
            response.results.append(
                GetOnlineFeaturesResponse.FeatureVector(
                    values=python_values_to_proto_values(column, kind),
                    statuses=[_status(value, event) for value, event in zip(column, events, strict=True)],
                    event_timestamps=[_timestamp(event) for event in events],
                )
            )
        return response

    @property
    def _feature_types(self) -> dict[str, ValueType]:  # type: ignore[override]
        return {name: ValueType[kind] for name, kind in self._types.items()}

    def to_dict(self, include_event_timestamps: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002  # Feast's
        """Return values by name; with their event times in whole seconds, when asked for."""
        if not include_event_timestamps:
            return dict(self._columns)
        found: dict[str, Any] = {}
        for name, column in self._columns.items():
            found[name] = column
            events = self._sources[name].events_us if name in self._sources else [0] * len(column)
            found[f"{name}{TIMESTAMP_POSTFIX}"] = [max(event, 0) // 1_000_000 for event in events]
        return found


def _status(value: Any, event_us: int) -> Any:
    if event_us == ABSENT:
        return FieldStatus.NOT_FOUND
    if event_us == EXPIRED:
        return FieldStatus.OUTSIDE_MAX_AGE
    return FieldStatus.NULL_VALUE if value is None else FieldStatus.PRESENT


def _timestamp(event_us: int) -> Timestamp:
    seconds, rest = divmod(max(event_us, 0), 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1000)
