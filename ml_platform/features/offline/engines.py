"""Where feature tables are joined: our ASOF store on S3, or a warehouse that Feast speaks to, chosen by one setting.

``s3`` joins in this process. ``redshift://workgroup/database`` and ``athena://workgroup/database`` use Feast's own
stores, for tables that do not fit one machine: same definitions, their tables named ``payments_card_activity`` and so
on. What of this was run where is in ``docs/feature-catalogue.md``.
"""

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ml_platform.core.errors import ConfigurationError
from ml_platform.core.settings import Settings

if TYPE_CHECKING:
    from feast.data_source import DataSource

_ASOF = "ml_platform.features.offline.asof_store.AsofOfflineStore"


def offline_store_config(settings: Settings) -> dict[str, Any]:
    """Return Feast's ``offline_store`` for these settings.

    Raises:
        ConfigurationError: When the setting names no store that there is.
    """
    kind, workgroup, database = _parts(settings.offline_store)
    staging = f"s3://{settings.bucket}/feast-staging"
    common = {"region": settings.region, "workgroup": workgroup, "database": database, "s3_staging_location": staging}
    if kind == "s3":
        return {"type": _ASOF, "location": f"s3://{settings.bucket}", "region": settings.region}
    if kind == "redshift":
        return {"type": "redshift", "iam_role": settings.role_arn, **common}
    return {"type": "athena", "data_source": "AwsDataCatalog", **common}


def with_sources_of(settings: Settings, definitions: Iterable[Any]) -> list[Any]:
    """Return the definitions with each table's source as the chosen store reads it."""
    from feast import FeatureView, FileSource

    kind, _, database = _parts(settings.offline_store)
    if kind == "s3":
        return list(definitions)
    sources: dict[str, DataSource] = {}

    def translated(source: FileSource) -> "DataSource":
        return sources.setdefault(source.name, _warehouse_source(kind, database, source))

    found: list[Any] = []
    for definition in definitions:
        if isinstance(definition, FileSource):
            found.append(translated(definition))
        elif isinstance(definition, FeatureView) and isinstance(definition.batch_source, FileSource):
            view = copy.copy(definition)
            view.batch_source = translated(definition.batch_source)
            found.append(view)
        else:
            found.append(definition)
    return found


def _warehouse_source(kind: str, database: str, source: Any) -> "DataSource":
    named = {
        "name": source.name,
        "table": source.path.replace("/", "_"),
        "timestamp_field": source.timestamp_field,
        "created_timestamp_column": source.created_timestamp_column,
        "description": source.description,
        "database": database,
    }
    if kind == "redshift":
        from feast import RedshiftSource

        return RedshiftSource(schema="public", **named)
    from feast.infra.offline_stores.contrib.athena_offline_store.athena_source import AthenaSource

    return AthenaSource(data_source="AwsDataCatalog", **named)


def _parts(address: str) -> tuple[str, str, str]:
    """Return kind, workgroup and database."""
    if address == "s3":
        return "s3", "", ""
    parts = urlsplit(address)
    database = parts.path.strip("/")
    if parts.scheme not in {"redshift", "athena"} or not parts.hostname or not database:
        raise ConfigurationError(
            f"ML_PLATFORM_OFFLINE_STORE={address!r} is no offline store. Use s3, redshift://workgroup/database or "
            "athena://workgroup/database."
        )
    return parts.scheme, parts.netloc, database
