"""Failures on demand: what shall go wrong next, kept in SQLite so that a restart of the stand-in forgets none.

A fault waits for its moment: whoever is about to do something asks ``take`` whether that shall go wrong now. What
then happens is the asker's business. How people add faults is ``admin`` (HTTP) and ``--faults FILE`` (a JSON list).
"""

import json
import random
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS faults (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    times INTEGER,
    parameters TEXT NOT NULL
)
"""
KINDS = {
    "throttling": "target: operation, e.g. CreateTrainingJob; the call answers ThrottlingException",
    "s3-error": "target: bucket/key; S3 answers `status` (503) to the stand-in, whose client tries 5 times",
    "capacity": "target: job; no instance of the requested type is to be had",
    "spot-interruption": "target: job; a managed spot job is interrupted after `seconds`",
    "slow-start": "target: job, or endpoint/config/variant; the start takes `seconds` longer",
    "hold": "target: job, or endpoint/config/variant; it stays in `state`, e.g. Uploading, while the fault is there",
    "slow-response": "target: endpoint/config/variant; an answer takes `seconds` longer",
    "error-response": "target: endpoint/config/variant; the model answers `status` (500), saying `message`",
    "server-crash": "target: endpoint/config/variant, or transform job; its process is killed while it has a request",
    "silent-rollback": "target: endpoint; an update ends InService on the old config, with no reason given",
    "rollback-failure": "target: endpoint; a rollback fails, the endpoint ends UpdateRollbackFailed on both fleets",
    "lost-event": "target: ARN or detail type; the event is never delivered",
    "duplicate-event": "target: ARN or detail type; the event is delivered twice",
}
PARAMETERS = {
    "s3-error": {"status"},
    "spot-interruption": {"seconds"},
    "slow-start": {"seconds"},
    "hold": {"state"},
    "slow-response": {"seconds"},
    "error-response": {"status", "message"},
}
MAX_TIMES = 1_000_000


class FaultError(Exception):
    """What was asked for is no fault; the message says what would be."""


@dataclass
class Fault:
    """Something that shall go wrong ``times`` times (None: until it is removed) where the target matches."""

    id: int
    kind: str
    target: str
    times: int | None
    parameters: dict[str, Any]

    def matches(self, target: str) -> bool:
        """Whether a target is meant: by pattern, or as the first parts of ``endpoint/config/variant``."""
        return fnmatchcase(target, self.target) or target.startswith(f"{self.target}/")

    def as_json(self) -> dict[str, Any]:
        """Return the fault as a JSON object."""
        return asdict(self)


class Faults:
    """The faults that wait. Any thread may ask: S3 is read and written in threads.

    Args:
        path: SQLite file; None keeps them in memory only.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(SCHEMA)
        # Asked on every invocation: answered from memory, the file is written on changes only.
        rows = self._database.execute("SELECT id, kind, target, times, parameters FROM faults ORDER BY id")
        self._faults = [Fault(key, kind, target, times, json.loads(rest)) for key, kind, target, times, rest in rows]

    def add(self, kind: str, target: str = "*", times: int | None = 1, parameters: dict[str, Any] | None = None) -> int:
        """Let something go wrong from now on; return the fault's id.

        Every kind takes the parameter ``share``: the part of matching occasions, drawn at random, that go wrong.

        Raises:
            FaultError: When there is no such kind or parameter, or a value makes no sense.
        """
        parameters = dict(parameters or {})
        _check(kind, target, times, parameters)
        with self._lock:
            cursor = self._database.execute(
                "INSERT INTO faults (kind, target, times, parameters) VALUES (?, ?, ?, ?)",
                (kind, target, times, json.dumps(parameters)),
            )
            fault = Fault(int(cursor.lastrowid or 0), kind, target, times, parameters)
            self._faults.append(fault)
        return fault.id

    def add_all(self, faults: Sequence[Any]) -> list[int]:
        """Add faults given as JSON objects ``{kind, target, times, parameters}``: all, or none when one is wrong.

        Raises:
            FaultError: When one of them is no fault.
        """
        for fault in faults:
            if not isinstance(fault, dict) or "kind" not in fault:
                raise FaultError(f"a fault is an object with a `kind`, not {fault!r}")
            if unknown := sorted(fault.keys() - {"kind", "target", "times", "parameters"}):
                raise FaultError(f"a fault has no member {unknown[0]!r}; it has kind, target, times and parameters")
            parameters = fault.get("parameters") or {}
            _check(fault["kind"], fault.get("target", "*"), fault.get("times", 1), parameters)
        return [self.add(**fault) for fault in faults]

    def take(self, kind: str, *targets: str) -> dict[str, Any] | None:
        """Return the parameters of a fault that happens now, to any of these names of one thing, and use it up once."""
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if fault.kind != kind or not any(fault.matches(target) for target in targets):
                    continue
                if random.random() < fault.parameters.get("share", 1.0):  # noqa: S311 - decides on failures only
                    self._use(fault)
                    return fault.parameters
        return None

    def waits(self, kind: str, target: str, **parameters: Any) -> bool:
        """Whether there is such a fault for a name; asking does not use it up."""
        if not self._faults:
            return False
        with self._lock:
            return any(
                fault.kind == kind and fault.matches(target) and fault.parameters.items() >= parameters.items()
                for fault in self._faults
            )

    def list(self) -> list[Fault]:
        """Return the faults that wait, oldest first."""
        with self._lock:
            return [*self._faults]

    def clear(self, identity: int | None = None) -> int:
        """Remove one fault, or all of them; return how many there were."""
        with self._lock:
            gone = [fault for fault in self._faults if identity in (None, fault.id)]
            for fault in gone:
                self._remove(fault)
        return len(gone)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _use(self, fault: Fault) -> None:
        if fault.times is None:
            return
        fault.times -= 1
        if fault.times:
            self._database.execute("UPDATE faults SET times = ? WHERE id = ?", (fault.times, fault.id))
        else:
            self._remove(fault)

    def _remove(self, fault: Fault) -> None:
        self._faults.remove(fault)
        self._database.execute("DELETE FROM faults WHERE id = ?", (fault.id,))


def _check(kind: Any, target: Any, times: Any, parameters: Any) -> None:
    if not isinstance(kind, str) or kind not in KINDS:
        raise FaultError(f"{kind!r} is no kind of fault. There are: {', '.join(KINDS)}.")
    if not isinstance(target, str) or not target:
        raise FaultError("`target` is a pattern such as `card-fraud*`")
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or not 0 < times <= MAX_TIMES):
        raise FaultError("`times` is a whole number above 0, or null for a fault that stays")
    if not isinstance(parameters, dict):
        raise FaultError("`parameters` is an object")
    known = PARAMETERS.get(kind, set()) | {"share"}
    if unknown := sorted(parameters.keys() - known):
        raise FaultError(f"{kind} has no parameter {unknown[0]!r}; it has: {', '.join(sorted(known))}")
    if kind == "hold" and not isinstance(parameters.get("state"), str):
        raise FaultError("a hold has a `state`, such as Uploading")
    for name, low, high in (("share", 0, 1), ("seconds", 0, 3600), ("status", 400, 599)):
        value = parameters.get(name, low)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise FaultError(f"`{name}` is a number from {low} to {high}")
