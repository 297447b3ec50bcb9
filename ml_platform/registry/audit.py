"""The audit trail: one record for each act on a model, in order, each sealed to the one before it.

A record is an object of its own that is written once. Its hash covers its content and the hash of the record before,
so a record that was changed, taken out or put in between is found. What the hashes cannot find, an end that was cut
off, is found by holding the registry against the trail. That nobody may delete is the bucket's policy (``infra``).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml_platform.aws.model_packages import ModelPackage
from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.sealed_objects import put_once
from ml_platform.core.errors import MLPlatformError
from ml_platform.core.fingerprint import fingerprint_json

Act = Literal["register", "approve", "reject", "deploy", "rollback", "expire", "void", "refuse"]
PREFIX = "audit/"
_ATTEMPTS = 20


class AuditError(MLPlatformError):
    """The trail cannot be written."""


class AuditRecord(BaseModel):
    """Who did what to which version, when and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: int = Field(ge=1)
    model: str
    act: Act
    version: int | None
    package_arn: str
    by: str
    reason: str
    at: datetime
    details: dict[str, str] = {}
    previous: str = Field(description="Hash of the record before; empty for the first.")
    hash: str = ""

    def sealed(self) -> "AuditRecord":
        """Return the record with the hash of its content."""
        return self.model_copy(update={"hash": self.content_hash()})

    def content_hash(self) -> str:
        """Return the hash of everything but the hash."""
        return fingerprint_json(self.model_dump(mode="json", exclude={"hash"}))


@dataclass(frozen=True, slots=True)
class AuditTrail:
    """The trail of one model."""

    store: ObjectStore
    model: str

    def append(
        self,
        act: Act,
        package: ModelPackage,
        *,
        by: str,
        reason: str,
        at: datetime,
        details: Mapping[str, str] | None = None,
    ) -> AuditRecord:
        """Add a record at the end; another writer's record in between is waited for by taking the next place.

        Raises:
            AuditError: When no place could be had.
        """
        for _ in range(_ATTEMPTS):
            last = self._last()
            record = AuditRecord(
                sequence=last.sequence + 1 if last else 1,
                model=self.model,
                act=act,
                version=package.version,
                package_arn=package.arn,
                by=by,
                reason=" ".join(reason.split()),
                at=at,
                details=dict(details or {}),
                previous=last.hash if last else "",
            ).sealed()
            if put_once(self.store, self._key(record.sequence), record.model_dump_json().encode()):
                return record
        raise AuditError(f"The audit trail of {self.model} is being written by others all the time. Try again.")

    def records(self) -> Iterator[AuditRecord]:
        """Yield all records in order.

        Raises:
            AuditError: When one cannot be read at all.
        """
        for key in self.store.keys(self._prefix):
            yield self._read(key)

    def has(self, act: Act, package: ModelPackage) -> bool:
        """Whether an act on a package is on record."""
        return any(record.act == act and record.package_arn == package.arn for record in self.records())

    def approval_before(self, package_arn: str, instant: datetime) -> AuditRecord | None:
        """Return the approval of a package that was in force at an instant, or None when none is on record."""
        approvals = [
            record
            for record in self.records()
            if record.act == "approve" and record.package_arn == package_arn and record.at <= instant
        ]
        return approvals[-1] if approvals else None

    @property
    def _prefix(self) -> str:
        return f"{PREFIX}{self.model}/"

    def _key(self, sequence: int) -> str:
        return f"{self._prefix}{sequence:08d}.json"

    def _last(self) -> AuditRecord | None:
        keys = list(self.store.keys(self._prefix))
        return self._read(keys[-1]) if keys else None

    def _read(self, key: str) -> AuditRecord:
        try:
            return AuditRecord.model_validate_json(self.store.get(key))
        except ValidationError as error:
            raise AuditError(
                f"{self.store.uri(key)} is no audit record: it was changed. Restore its first version."
            ) from error


def find_breaks(records: Iterable[AuditRecord]) -> list[str]:
    """Return every place where a trail is not what was written; empty when it is whole."""
    breaks, previous, expected = [], "", 1
    for record in records:
        if record.sequence != expected:
            breaks.append(f"record {expected} is missing: record {record.sequence} follows")
        elif record.previous != previous:
            breaks.append(f"record {record.sequence} does not follow the record before it: one of them was changed")
        if record.hash != record.content_hash():
            breaks.append(f"record {record.sequence} was changed: its content does not have its hash")
        previous, expected = record.hash, record.sequence + 1
    return breaks


def find_unrecorded(packages: Iterable[ModelPackage], records: Iterable[AuditRecord]) -> list[str]:
    """Return what the registry says and the trail does not: an approval that went by it, or an end that was cut off."""
    approved = {record.package_arn for record in records if record.act == "approve"}
    return [
        f"version {package.version} is approved, and no record says by whom"
        for package in packages
        if package.approved and package.arn not in approved
    ]
