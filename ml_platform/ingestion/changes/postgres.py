"""PostgreSQL as a source: the address, the connection, and what a row of its table is to us.

How changes are found is ``cursor`` or ``replication``.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

from ml_platform.core.errors import ConfigurationError, ServiceUnavailableError, SourceDataError
from ml_platform.core.fingerprint import fingerprint_json

if TYPE_CHECKING:
    import psycopg

_OURS = {"table", "read", "slot", "publication", "updated_at", "key", "overlap_seconds"}
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?$")
_SLOT = re.compile(r"^[a-z0-9_]{1,63}$")


@dataclass(frozen=True)
class PostgresAddress:
    """``postgresql://user@host/database?table=…&read=changes|cursor``; the rest of the query is libpq's own."""

    conninfo: str
    table: str
    read: Literal["changes", "cursor"] = "changes"
    slot: str = "ml_platform"
    publication: str = "ml_platform"
    updated_at: str = "updated_at"
    key: str = "transaction_id"
    overlap: timedelta = timedelta(seconds=60)

    @property
    def name(self) -> str:
        """The name of this source's inbox: another database, table, slot or way to read is another source."""
        parts = [self.conninfo, self.table, self.read, self.slot if self.read == "changes" else self.updated_at]
        return f"postgres-{fingerprint_json(parts)[:12]}"


def parse_postgres_address(address: str) -> PostgresAddress:
    """Return what ``ML_PLATFORM_SOURCE`` says.

    Raises:
        ConfigurationError: When it lacks the table, holds a password, or says something that is not understood.
    """
    url = urlsplit(address)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    if url.password or "password" in query:
        raise ConfigurationError(
            "ML_PLATFORM_SOURCE holds a password, which would end up in logs. Take it out, and give it as PGPASSWORD, "
            "in ~/.pgpass, or as an AWS secret named in ML_PLATFORM_SOURCE_PASSWORD_SECRET."
        )
    ours = {name: value for name, value in query.items() if name in _OURS}
    rest = urlencode({name: value for name, value in query.items() if name not in _OURS})
    if not _NAME.match(ours.get("table", "")):
        raise ConfigurationError("ML_PLATFORM_SOURCE does not say which table: add ?table=schema.name to the address.")
    names = ("updated_at", "key", "publication")
    wrong: list[str] = [name for name in names if name in ours and not _NAME.match(ours[name])]
    wrong += ["slot"] if not _SLOT.match(ours.get("slot", "ml_platform")) else []
    wrong += ["read"] if ours.get("read", "changes") not in ("changes", "cursor") else []
    wrong += ["overlap_seconds"] if not ours.get("overlap_seconds", "60").isdigit() else []
    if wrong:
        raise ConfigurationError(
            f"ML_PLATFORM_SOURCE has a {', '.join(wrong)} that cannot be used. read is `changes` or `cursor`, "
            "overlap_seconds a whole number, a slot lower-case letters, digits and underscores, the others names."
        )
    overlap = timedelta(seconds=int(ours.pop("overlap_seconds", "60")))
    return PostgresAddress(f"{url.scheme}://{url.netloc}{url.path}{'?' if rest else ''}{rest}", overlap=overlap, **ours)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Database:
    """Connections to the database at an address; ``password`` is asked for each time, so that it may be rotated."""

    address: PostgresAddress
    password: Callable[[], str | None] = field(default=lambda: None, repr=False)

    @contextmanager
    def connect(self) -> "Iterator[psycopg.Connection[tuple[Any, ...]]]":
        """Yield a connection that gives times in UTC.

        Raises:
            ServiceUnavailableError: When the database does not answer, or goes away meanwhile.
            SourceDataError: When it refuses what is asked of it.
        """
        import psycopg

        # None leaves the password to libpq: PGPASSWORD or ~/.pgpass.
        try:
            with psycopg.connect(
                self.address.conninfo,
                autocommit=True,
                password=self.password(),
                connect_timeout=5,
                application_name="ml-platform",
                options="-c timezone=UTC -c datestyle=ISO",
            ) as connection:
                yield connection
        except (psycopg.OperationalError, psycopg.errors.AdminShutdown) as error:
            if isinstance(error, psycopg.errors.InvalidPassword | psycopg.errors.ObjectInUse):
                raise
            raise ServiceUnavailableError(
                f"PostgreSQL does not answer for {self.address.table} ({error}). Check the host, the network and the "
                "user in ML_PLATFORM_SOURCE; reading goes on where it stopped."
            ) from error
        except (psycopg.ProgrammingError, psycopg.errors.ObjectNotInPrerequisiteState) as error:
            raise SourceDataError(
                f"PostgreSQL refuses to have {self.address.table} read: {error}. Check the table's name and columns, "
                "and the rights of the user in ML_PLATFORM_SOURCE."
            ) from error


def parse_row(text: str) -> Mapping[str, Any]:
    """Return a row that the database gave as JSON; numbers keep every digit they have."""
    row: Mapping[str, Any] = json.loads(text, parse_float=str, parse_int=str)
    return row
