"""Columns of feature tables as Dagster knows them: what each means, and which columns it is computed from.

Dagster's open-source UI shows the schema; the lineage it keeps as JSON. ``payments/feature_catalogue`` shows both.
"""

from collections.abc import Iterable

import dagster as dg

from ml_platform.features.catalogue.entries import FeatureEntry, all_entries

_TIMES = {
    "transaction_id": ("string", "The payment that the row is about."),
    "event_time": ("timestamp", "When that payment happened, in UTC."),
    "created_time": ("timestamp", "When the row can have been known first, in UTC."),
}


def table_metadata(table: str) -> dict[str, dg.TableColumnLineage | dg.TableSchema]:
    """Return schema and column lineage of a feature table."""
    entries = [entry for entry in all_entries() if entry.table == table]
    keys = dict.fromkeys(entry.key for entry in entries if entry.key)
    columns = [
        *(dg.TableColumn(name, kind, description=meaning) for name, (kind, meaning) in _TIMES.items()),
        *(dg.TableColumn(key, "string", description="What the row is about.") for key in keys),
        *(
            dg.TableColumn(
                entry.name,
                "number",
                description=f"{entry.meaning} Window: {entry.window}. Unit: {entry.unit}. Owner: {entry.owner}.",
            )
            for entry in entries
        ),
    ]
    return {"dagster/column_schema": dg.TableSchema(columns), "dagster/column_lineage": _made_of(entries)}


def training_set_lineage(features: Iterable[str]) -> dict[str, dg.TableColumnLineage]:
    """Return from which table's column each column of a training set comes."""
    wanted = set(features)
    deps = {}
    for entry in (entry for entry in all_entries() if entry.name in wanted):
        if entry.table:
            deps[entry.name] = [dg.TableColumnDep(asset_key=_key(entry.table), column_name=entry.name)]
        else:
            deps[entry.name] = _columns_of(entry)
    return {"dagster/column_lineage": dg.TableColumnLineage(deps)}


def _made_of(entries: Iterable[FeatureEntry]) -> dg.TableColumnLineage:
    return dg.TableColumnLineage({entry.name: _columns_of(entry) for entry in entries})


def _columns_of(entry: FeatureEntry) -> list[dg.TableColumnDep]:
    return [dg.TableColumnDep(asset_key=_key(source.table), column_name=source.column) for source in entry.made_of]


def _key(table: str) -> dg.AssetKey:
    return dg.AssetKey(table.split("/"))
