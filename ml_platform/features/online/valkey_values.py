"""Online rows in Valkey or Redis: one string per table and key, compared and set inside the server.

One node or one primary with replicas; a cluster that spreads keys over slots is not supported (rows of several tables
are read in one command).
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from ml_platform.features.online.codec import HEADER
from ml_platform.features.online.values import Keys, OnlineStoreUnavailableError, Swap, Table

_ROWS_PER_CALL = 256
"""Few enough that a script never holds the server for more than about a millisecond."""

_CONNECT_SECONDS, _ANSWER_SECONDS = 2.0, 5.0

_WRITE_NEWEST = """
local written = 0
for i, key in ipairs(KEYS) do
  local kept = redis.call('GETRANGE', key, 0, 7)
  if #kept < 8 or struct.unpack('<I8', kept) <= struct.unpack('<I8', ARGV[i + 1]) then
    if ARGV[1] == '0' then redis.call('SET', key, ARGV[i + 1])
    else redis.call('SET', key, ARGV[i + 1], 'PX', ARGV[1]) end
    written = written + 1
  end
end
return written
"""
_SWAP = """
local done = {}
for i, key in ipairs(KEYS) do
  done[i] = 0
  if redis.call('GETRANGE', key, 0, 15) == ARGV[2 * i] then
    if ARGV[1] == '0' then redis.call('SET', key, ARGV[2 * i + 1])
    else redis.call('SET', key, ARGV[2 * i + 1], 'PX', ARGV[1]) end
    done[i] = 1
  end
end
return done
"""


class ValkeyValues:
    """Rows in a server that speaks Redis's protocol."""

    def __init__(self, address: str) -> None:
        from redis import Redis
        from redis.backoff import ExponentialBackoff
        from redis.retry import Retry

        self._name = _without_password(address)
        # One retry at once finds a server that was restarted; waiting longer is the caller's decision.
        self._client: Redis = Redis.from_url(
            address.replace("valkey", "redis", 1),
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            retry=Retry(ExponentialBackoff(cap=0.1, base=0.05), 1),
        )
        self._write_newest = self._client.register_script(_WRITE_NEWEST)
        self._swap = self._client.register_script(_SWAP)

    def create(self, tables: Sequence[Table]) -> None:  # noqa: ARG002
        """Check that the server answers; tables are only prefixes here."""
        with self._errors():
            self._client.ping()

    def drop(self, tables: Sequence[Table]) -> None:
        """Remove tables and their rows."""
        with self._errors():
            for table in tables:
                keys = self._client.scan_iter(match=_prefix(table) + b"*", count=1000)
                while some := [key for key, _ in zip(keys, range(_ROWS_PER_CALL), strict=False)]:
                    self._client.unlink(*some)

    def read(self, wanted: Sequence[tuple[Table, Keys]]) -> list[list[bytes | None]]:
        """Return the rows of each table's keys, None where there is none; in one command."""
        names = [prefix + key for table, keys in wanted for prefix in (_prefix(table),) for key in keys]
        if not names:
            return [[] for _ in wanted]
        with self._errors():
            found: Any = self._client.mget(names)
        rows, start = [], 0
        for _, keys in wanted:
            rows.append(found[start : start + len(keys)])
            start += len(keys)
        return rows

    def write_newest(self, table: Table, rows: Mapping[bytes, bytes], keep: timedelta | None) -> int:
        """Write rows unless the store's are newer."""
        prefix, items, written = _prefix(table), list(rows.items()), 0
        with self._errors():
            for start in range(0, len(items), _ROWS_PER_CALL):
                some = items[start : start + _ROWS_PER_CALL]
                keys = [prefix + key for key, _ in some]
                written += int(self._write_newest(keys, [_milliseconds(keep), *(row for _, row in some)]))
        return written

    def swap(self, table: Table, swaps: Sequence[Swap], keep: timedelta | None) -> list[bool]:
        """Replace each row that is still the one that was seen: its header says which revision it is."""
        prefix, done = _prefix(table), []
        with self._errors():
            for start in range(0, len(swaps), _ROWS_PER_CALL):
                some = swaps[start : start + _ROWS_PER_CALL]
                values = [value for swap in some for value in ((swap.seen or b"")[: HEADER.size], swap.row)]
                done += self._swap([prefix + swap.key for swap in some], [_milliseconds(keep), *values])
        return [bool(outcome) for outcome in done]

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from redis.exceptions import RedisError

        try:
            yield
        except (RedisError, OSError, struct.error) as error:
            raise OnlineStoreUnavailableError(
                f"The online store at {self._name} does not answer: {error}. Start it or correct "
                "ML_PLATFORM_ONLINE_STORE, then try again."
            ) from error


def _prefix(table: Table) -> bytes:
    return f"{table}/".encode()


def _milliseconds(keep: timedelta | None) -> int:
    return 0 if keep is None else int(keep.total_seconds() * 1000)


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
