"""What the online store was filled from, each time it was filled: the evidence by which skew is told apart later.

One small JSON document per materialization, never changed, under the instant at which it ended.
"""

import bisect
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.aws.objects import ObjectStore
from ml_platform.core import names
from ml_platform.core.fingerprint import fingerprint_parts, fingerprint_tree
from ml_platform.features.store import FEATURE_REPO
from ml_platform.features.tables import CARD_ACTIVITY, TERMINAL_RISK

PREFIX = "features/serving-records/"
TABLES = (CARD_ACTIVITY, TERMINAL_RISK)
_REACH = timedelta(days=40)
"""Longer than any time to live: older rows are not served."""


class ServingRecord(BaseModel):
    """The state that a materialization left the online store in."""

    model_config = ConfigDict(frozen=True)

    at: datetime = Field(description="Wall clock when it ended.")
    filled_until: datetime = Field(description="Midnight before which rows were copied.")
    definitions: str = Field(description="Fingerprint of all that defines features.")
    partitions: dict[str, dict[date, str]] = Field(description="ETag of each day's rows, by table.")


def write_record(store: ObjectStore, filled_until: datetime, at: datetime) -> ServingRecord:
    """Keep what the online store was just filled from."""
    record = ServingRecord(
        at=at,
        filled_until=filled_until,
        definitions=definitions_in_force(),
        partitions={table: partition_tags(store, table, filled_until.date() - _REACH) for table in TABLES},
    )
    store.put(f"{PREFIX}{at:%Y%m%dT%H%M%S.%f}.json", record.model_dump_json().encode(), "application/json")
    return record


def partition_tags(store: ObjectStore, table: str, first: date) -> dict[date, str]:
    """Return the ETag of each day's rows from ``first`` on; a changed tag is a rewritten day."""
    prefix = names.table_prefix(table)
    tags = {
        date.fromisoformat(key.removeprefix(f"{prefix}date=").split("/")[0]): tag
        for key, tag in store.versions(prefix)
        if key.startswith(f"{prefix}date=")
    }
    return {day: tag for day, tag in tags.items() if day >= first}


def definitions_in_force() -> str:
    """Return the fingerprint of the code that defines features: windows, labels, look-up, Feast definitions."""
    here = Path(__file__).parents[1]
    with resources.as_file(resources.files(FEATURE_REPO)) as repo:
        return fingerprint_parts(
            {
                "feature_repo": fingerprint_tree(repo),
                **{folder: fingerprint_tree(here / folder) for folder in ("windows", "labels")},
            }
        )


class ServingRecords:
    """Every record, by the instant from which it was in force. Only those asked for are read."""

    def __init__(self, store: ObjectStore) -> None:
        """List the records."""
        self._store = store
        self._keys = sorted(store.keys(PREFIX))
        self._read: dict[str, ServingRecord] = {}

    def in_force(self, instant: datetime) -> ServingRecord | None:
        """Return the newest record written by then; None when there is none."""
        place = bisect.bisect_right(self._keys, f"{PREFIX}{instant:%Y%m%dT%H%M%S.%f}.json")
        if not place:
            return None
        key = self._keys[place - 1]
        if key not in self._read:
            self._read[key] = ServingRecord.model_validate_json(self._store.get(key))
        return self._read[key]


def rewritten_since(store: ObjectStore, served: Sequence[tuple[datetime, datetime]]) -> dict[str, list[bool]]:
    """Return by table, for each payment, whether rows it may have been served from were rewritten since.

    Rewritten by other definitions does not count: then the definitions are what changed.

    Args:
        store: The bucket.
        served: Of each payment when it was served (wall clock) and the midnight that its features are as of.
    """
    records, now = ServingRecords(store), definitions_in_force()
    in_force = [records.in_force(at) for at, _ in served]
    answers = {}
    for table in TABLES:
        today = partition_tags(store, table, date.min)
        changed = {
            record.at: {day for day, tag in record.partitions[table].items() if today.get(day) != tag}
            for record in in_force
            if record is not None and record.definitions == now
        }
        answers[table] = [
            record is not None and any(day < midnight.date() for day in changed.get(record.at, ()))
            for record, (_, midnight) in zip(in_force, served, strict=True)
        ]
    return answers
