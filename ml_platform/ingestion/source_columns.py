"""Which column of a source is which of ours. Pure.

A declared mapping wins; a column without an entry is recognised by our name or by the Fraud Detection Handbook's.
"""

import json
from collections.abc import Mapping, Sequence

from ml_platform.core.errors import ConfigurationError, SourceDataError
from ml_platform.ingestion.declaration import TABLES

# Names that a column is recognised by, whatever the case of the letters; its own comes first.
_ALIASES = {column.name: (column.name, *column.aliases) for table in TABLES for column in table.columns}


def check_mapping(mapping: Mapping[str, str]) -> None:
    """Refuse a mapping with names that are not ours.

    Raises:
        ConfigurationError: Naming each of them, and ours.
    """
    unknown = sorted(set(mapping) - set(_ALIASES))
    if unknown:
        raise ConfigurationError(
            f"ML_PLATFORM_SOURCE_COLUMNS maps {', '.join(unknown)}, which is not a column of ours. "
            f"Ours are {', '.join(_ALIASES)}; write {{our column: the source's column}}."
        )


def resolve_columns(
    found: Sequence[str], mapping: Mapping[str, str], required: Sequence[str], optional: Sequence[str], where: str
) -> dict[str, str]:
    """Return our column -> the source's column for what is required, and for what is optional and there.

    Raises:
        SourceDataError: Naming every missing column, those found, and the setting that maps them.
    """
    resolved = {ours: _theirs(ours, found, mapping) for ours in (*required, *optional)}
    missing = [ours for ours in required if resolved[ours] is None]
    missing += [ours for ours in optional if resolved[ours] is None and ours in mapping]
    if missing:
        raise SourceDataError(_missing_columns_message(missing, found, mapping, where))
    return {ours: theirs for ours, theirs in resolved.items() if theirs is not None}


def names_of(ours: str, mapping: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names, in lower case, that a column of ours may have, the mapped one first.

    Unlike in a file, where a declared name must be there, the rows of a stream may be older than the declaration.
    """
    mapped = (mapping[ours].lower(),) if ours in mapping else ()
    return tuple(dict.fromkeys([*mapped, *_ALIASES[ours]]))


def _theirs(ours: str, found: Sequence[str], mapping: Mapping[str, str]) -> str | None:
    if ours in mapping:
        return mapping[ours] if mapping[ours] in found else None
    by_lower_case = {column.strip().lower(): column for column in reversed(found)}
    return next((by_lower_case[alias] for alias in _ALIASES[ours] if alias in by_lower_case), None)


def _missing_columns_message(
    missing: Sequence[str], found: Sequence[str], mapping: Mapping[str, str], where: str
) -> str:
    wanted = ", ".join(f"{ours} (mapped to {mapping[ours]})" if ours in mapping else ours for ours in missing)
    example = json.dumps(dict(mapping) | {ours: f"<column of {ours}>" for ours in missing})
    return (
        f"{where} has no column for {wanted}. Its columns are {', '.join(found) or 'none'}. "
        f"Say which is which: export ML_PLATFORM_SOURCE_COLUMNS='{example}'"
    )
