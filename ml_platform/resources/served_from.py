"""From which version of each feature view a request was served: what was in force when it was answered."""

from collections.abc import Mapping
from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.aws.objects import ObjectStore


class ServedView(BaseModel):
    """One feature view as it was in force."""

    model_config = ConfigDict(frozen=True)

    view: str
    features: tuple[str, ...]
    definitions: str | None = Field(default=None, description="Fingerprint of all that defines features.")
    filled_until: datetime | None = Field(default=None, description="Midnight before which rows were served.")
    newest_day: date | None = Field(default=None, description="Newest day whose rows were served.")
    rows_version: str | None = Field(default=None, description="ETag of that day's rows.")


def served_from(
    store: ObjectStore, features: Mapping[str, float | None], instant: datetime | None
) -> tuple[ServedView, ...]:
    """Return the views that hold these features, as they were at an instant; None there leaves the versions open."""
    from ml_platform.features.catalogue.entries import all_entries
    from ml_platform.features.skew.serving_record import ServingRecords

    record = ServingRecords(store).in_force(instant) if instant else None
    views: dict[str, list[str]] = {}
    for entry in all_entries():
        if entry.name in features:
            views.setdefault(entry.table or "the request", []).append(entry.name)
    found = []
    for view, held in views.items():
        days = record.partitions.get(view, {}) if record else {}
        newest = max((day for day in days if record and day < record.filled_until.date()), default=None)
        known = record if view != "the request" else None
        found.append(
            ServedView(
                view=view,
                features=tuple(held),
                definitions=known.definitions if known else None,
                filled_until=known.filled_until if known else None,
                newest_day=newest,
                rows_version=days[newest] if newest else None,
            )
        )
    return tuple(found)
