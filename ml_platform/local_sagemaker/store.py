"""Every resource of the stand-in, in one SQLite file that survives ``kill -9`` at any moment.

A resource is a kind, a name and a JSON body in wire form (what Describe answers, times as epoch seconds); members
that the operation's output shape does not know are private to the stand-in. Objects and files are not kept here.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE INDEX IF NOT EXISTS resources_by_creation ON resources (kind, created_at, name);
CREATE INDEX IF NOT EXISTS resources_by_update ON resources (kind, updated_at, name);
"""
COLUMNS = ("name", "created_at", "updated_at")
Body = dict[str, Any]
Bodies = list[Body]
Observer = Callable[[str, Body | None, Body | None], None]
"""Told a resource's kind, its body before (None: it is new) and after a change (None: it is gone)."""


class DuplicateError(Exception):
    """A resource of that kind and name exists."""


@dataclass(frozen=True)
class Query:
    """Which resources of a kind, in which order. Everything but ``limit`` applies before paging."""

    equals: Mapping[str, Any] = field(default_factory=dict)
    name_contains: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    updated_after: float | None = None
    updated_before: float | None = None
    sort: str = "created_at"
    descending: bool = True
    after: tuple[Any, str] | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Row:
    """One resource found by a query, with the value it was sorted by."""

    name: str
    body: Body
    sort_value: Any


Rows = list[Row]


class Store:
    """Resources by kind and name. Used from the event loop's thread only; each call is one transaction."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        # In WAL mode NORMAL loses nothing when the process dies; only a power cut can drop the newest commits.
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(SCHEMA)
        self._observers: dict[str, tuple[Observer, ...]] = {}
        self._indexed: set[tuple[str, str]] = set()
        self._last_number = 0

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def watch(self, kinds: Iterable[str], observer: Observer) -> None:
        """Tell an observer of every change of resources of these kinds; what it stores belongs to the change."""
        for kind in kinds:
            self._observers[kind] = (*self._observers.get(kind, ()), observer)

    @contextmanager
    def _observed(self, kind: str, name: str, after: Body | None) -> Iterator[None]:
        observers = self._observers.get(kind)
        if not observers:
            yield
            return
        before = self.get(kind, name)
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            if before is not None or after is not None:
                for observer in observers:
                    observer(kind, before, after)
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def get(self, kind: str, name: str) -> Body | None:
        """Return a resource's body, or None."""
        row = self._database.execute("SELECT body FROM resources WHERE kind = ? AND name = ?", (kind, name)).fetchone()
        return json.loads(row[0]) if row else None

    def insert(self, kind: str, name: str, body: Body) -> None:
        """Add a resource.

        Raises:
            DuplicateError: When the name is taken.
        """
        now = time.time()
        try:
            with self._observed(kind, name, body):
                self._database.execute(
                    "INSERT INTO resources VALUES (?, ?, ?, 1, ?, ?)", (kind, name, json.dumps(body), now, now)
                )
        except sqlite3.IntegrityError as error:
            raise DuplicateError(f"{kind} {name} exists") from error

    def append(self, kind: str, body: Body) -> str:
        """Add a resource under a name that comes after those given before, also by a store before this one."""
        self._last_number = max(time.time_ns(), self._last_number + 1)
        name = f"{self._last_number:020d}"
        self.insert(kind, name, body)
        return name

    def put(self, kind: str, name: str, body: Body) -> None:
        """Add or replace a resource; its creation time stays."""
        now = time.time()
        with self._observed(kind, name, body):
            self._database.execute(
                "INSERT INTO resources VALUES (?, ?, ?, 1, ?, ?) ON CONFLICT (kind, name) DO UPDATE SET "
                "body = excluded.body, version = version + 1, updated_at = excluded.updated_at",
                (kind, name, json.dumps(body), now, now),
            )

    def update(self, kind: str, name: str, **members: Any) -> Body:
        """Set members of an existing resource and return its new body; a member set to None is removed.

        Raises:
            KeyError: When there is no such resource.
        """
        return self.change(kind, name, lambda body: body.update(members))

    def change(self, kind: str, name: str, edit: Callable[[Body], object]) -> Body:
        """Let ``edit`` alter an existing resource's body in place, store it and return it.

        Raises:
            KeyError: When there is no such resource.
        """
        body = self.get(kind, name)
        if body is None:
            raise KeyError(f"{kind} {name}")
        edit(body)
        body = {key: value for key, value in body.items() if value is not None}
        self.put(kind, name, body)
        return body

    def delete(self, kind: str, name: str) -> bool:
        """Remove a resource; return whether it was there."""
        with self._observed(kind, name, None):
            cursor = self._database.execute("DELETE FROM resources WHERE kind = ? AND name = ?", (kind, name))
        return cursor.rowcount > 0

    def clear(self) -> None:
        """Remove every resource and every observer; none is told."""
        self._database.execute("DELETE FROM resources")
        self._observers.clear()

    def index(self, members: Iterable[str]) -> None:
        """Index members that will be asked for. On an empty store that costs nothing, later 60 ms each."""
        for member in members:
            self._index(member, f"{_member(member)}, created_at, name")

    def list(self, kind: str, **equals: Any) -> Bodies:
        """Return all resources of a kind, oldest first, whose top-level members equal the given values."""
        return [row.body for row in self.select(kind, Query(equals=equals, descending=False))]

    def select(self, kind: str, query: Query) -> Rows:
        """Return the resources of a kind that a query describes."""
        sort = query.sort if query.sort in COLUMNS else _member(query.sort)
        for member in query.equals:
            self._index(member, f"{_member(member)}, created_at, name")
        if query.sort not in COLUMNS:
            self._index(query.sort, f"{sort}, name")
        conditions, values = _conditions(query, sort)
        direction = "DESC" if query.descending else "ASC"
        rows = self._database.execute(
            f"SELECT name, body, {sort} FROM resources WHERE {' AND '.join(['kind = ?', *conditions])} "  # noqa: S608
            f"ORDER BY {sort} {direction}, name {direction} LIMIT ?",
            (kind, *values, -1 if query.limit is None else query.limit),
        )
        return [Row(name, json.loads(body), value) for name, body, value in rows]

    def _index(self, member: str, columns: str) -> None:
        """Index a member of the bodies the first time it is asked for: reading 10,000 bodies takes 60 ms a query."""
        if (member, columns) not in self._indexed:
            order = "creation" if "created_at" in columns else "name"
            name = f"resources_by_{member.replace('.', '_')}_and_{order}"
            self._database.execute(f"CREATE INDEX IF NOT EXISTS {name} ON resources (kind, {columns})")
            self._indexed.add((member, columns))


def _member(member: str) -> str:
    # Members come from our own listings, never from a request.
    return f"coalesce(body ->> '$.{member}', '')"


def _conditions(query: Query, sort: str) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    bounds = (
        ("instr(lower(name), lower(?)) > 0", query.name_contains),
        ("created_at >= ?", query.created_after),
        ("created_at <= ?", query.created_before),
        ("updated_at >= ?", query.updated_after),
        ("updated_at <= ?", query.updated_before),
        *((f"{_member(member)} = ?", value) for member, value in query.equals.items()),
    )
    for condition, value in bounds:
        if value is not None:
            conditions.append(condition)
            values.append(value)
    if query.after is not None:
        conditions.append(f"({sort}, name) {'<' if query.descending else '>'} (?, ?)")
        values.extend(query.after)
    return conditions, values
