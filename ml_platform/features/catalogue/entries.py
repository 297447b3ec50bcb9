"""What is known of every feature without looking at data: meaning, unit, owner, and the columns it is made of.

Window features are described by their declarations (``features.windows.payments``); what a request brings, or what is
computed from it, is described here. Feast is not needed, and not imported: it takes seconds.
"""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.features.tables import TRANSACTIONS
from ml_platform.features.windows.declaration import FeatureTable, WindowFeature
from ml_platform.features.windows.payments import FEATURE_TABLES

OWNER = "team:ml-platform"


class SourceColumn(BaseModel):
    """A column that a feature is computed from."""

    model_config = ConfigDict(frozen=True)

    table: str
    column: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


class FeatureEntry(BaseModel):
    """One feature, described for a person."""

    model_config = ConfigDict(frozen=True)

    name: str
    meaning: str
    unit: str
    owner: str
    table: str | None = Field(description="Table that holds it; None when it is computed from the request.")
    key: str | None = Field(default=None, description="Column that names what it is about.")
    made_of: tuple[SourceColumn, ...] = Field(description="Columns it is computed from.")
    window: str = Field(default="", description="The window, in words.")


def all_entries() -> tuple[FeatureEntry, ...]:
    """Return every feature there is, in the order of the tables."""
    looked_up = (window_entry(table, feature) for table in FEATURE_TABLES for feature in table.features)
    return (*_FROM_REQUEST, *looked_up)


def window_entry(table: FeatureTable, feature: WindowFeature) -> FeatureEntry:
    """Return the entry of a declared window feature."""
    columns = [table.key, table.event_time, *([feature.column] if feature.column else [])]
    made_of = [SourceColumn(table=table.source, column=column) for column in columns]
    if feature.looks_at_labels and table.labels:
        made_of += [SourceColumn(table=table.labels, column=column) for column in ("label", "known_time")]
    return FeatureEntry(
        name=feature.name,
        meaning=feature.meaning,
        unit=feature.unit,
        owner=feature.owner or table.owner,
        table=table.name,
        key=table.key,
        made_of=tuple(made_of),
        window=_in_words(feature),
    )


def _in_words(feature: WindowFeature) -> str:
    ago = f", ending {_length(feature.delay)} before" if feature.delay else ""
    return f"{_length(feature.window)}{ago}, {feature.bounds.replace('_', ' ')}"


def _length(span: timedelta) -> str:
    return f"{span.days} d" if span % timedelta(days=1) == timedelta(0) else str(span)


def _from_request(name: str, meaning: str, unit: str, column: str) -> FeatureEntry:
    return FeatureEntry(
        name=name,
        meaning=meaning,
        unit=unit,
        owner=OWNER,
        table=None,
        made_of=(SourceColumn(table=TRANSACTIONS, column=column),),
    )


_FROM_REQUEST = (
    _from_request("amount", "What is paid.", "currency", "amount"),
    _from_request("is_weekend", "Whether it is Saturday or Sunday, in UTC.", "0 or 1", "event_time"),
    _from_request("is_night", "Whether it is before 07:00, in UTC.", "0 or 1", "event_time"),
)
