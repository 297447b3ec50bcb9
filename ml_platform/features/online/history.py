"""What happened to one card or terminal lately, as bytes: enough to finish any of its windows at any instant.

Events carry the identity of their payment, so adding one twice changes nothing: a replay after a crash is harmless,
and a late event takes its place. Of a key with very many events the oldest are settled into time grains: then counts
and sums stay exact, but the edge of a window may be off by what lies in one grain. Finishing windows is
``features.online.finishing``; which rows hold histories is declared in ``feature_repo``.
"""

import hashlib
import struct
from array import array
from bisect import bisect_left, bisect_right
from typing import Self

from ml_platform.core.errors import FeatureError

UNITS_PER_AMOUNT = 1_000_000
"""Amounts are whole millionths of the currency: integer sums do not depend on the order of events."""

MAX_EVENTS = 4096
"""Events per key, of 24 bytes each: about 100 kB, which still reads in about a millisecond."""

_SECOND = 1_000_000
_GRAINS_US = tuple(seconds * _SECOND for seconds in (1, 60, 600, 3600, 6 * 3600, 86_400))
_HEADER = struct.Struct("<4sIIIq")
_MAGIC = b"wh1\0"
_NEVER = -(2**63)


class History:
    """Events of one key in order of time, and what was learnt of those that were ever known to be frauds."""

    __slots__ = ("counts", "fact_events", "fact_ids", "facts", "ids", "settled_us", "times", "units")

    def __init__(self) -> None:
        self.times = array("q")
        """Event times in microseconds, ascending."""
        self.ids = array("Q")
        """Identity of each payment; 0 for events that were settled."""
        self.units = array("q")
        """Amount in millionths, or the sum of those settled."""
        self.counts = array("I")
        """How many events each of the leading, settled entries stands for; the entries after them are one event."""
        self.settled_us = _NEVER
        """Time of the newest settled event. Whether an event up to then is among them cannot be told."""
        self.fact_events = array("q")
        self.fact_ids = array("Q")
        self.facts = array("q")
        """Twice the microsecond at which a label became known, plus the label: the greatest known one holds."""

    @classmethod
    def from_bytes(cls, content: bytes | None) -> Self:
        """Read what ``to_bytes`` wrote; None is an empty history.

        Raises:
            FeatureError: When the content is no history.
        """
        history = cls()
        if content is None:
            return history
        if content[:4] != _MAGIC:
            raise FeatureError("A row of the online store holds no history of events. Materialize its view again.")
        _, events, settled, facts, history.settled_us = _HEADER.unpack_from(content)
        start = _HEADER.size
        for column, length in (
            (history.times, events),
            (history.ids, events),
            (history.units, events),
            (history.fact_events, facts),
            (history.fact_ids, facts),
            (history.facts, facts),
            (history.counts, settled),
        ):
            column.frombytes(content[start : start + length * column.itemsize])
            start += length * column.itemsize
        return history

    def to_bytes(self) -> bytes:
        """Return the history as bytes; equal histories give equal bytes."""
        header = _HEADER.pack(_MAGIC, len(self.times), len(self.counts), len(self.facts), self.settled_us)
        columns = (self.times, self.ids, self.units, self.fact_events, self.fact_ids, self.facts, self.counts)
        return header + b"".join(column.tobytes() for column in columns)

    @property
    def newest_us(self) -> int | None:
        """Time of the newest event, also of one of which only a label came yet."""
        return max([*self.times[-1:], *self.fact_events[-1:]], default=None)

    def add(self, time_us: int, identity: int, units: int) -> bool:
        """Add an event, or correct the amount of one that is there; return whether anything changed.

        An event that is not newer than the settled ones is taken for one of them.
        """
        if time_us <= self.settled_us:
            return False
        first = bisect_left(self.times, time_us)
        place = first
        while place < len(self.times) and self.times[place] == time_us and self.ids[place] < identity:
            place += 1
        if place < len(self.times) and self.times[place] == time_us and self.ids[place] == identity:
            changed = self.units[place] != units
            self.units[place] = units
            return changed
        for column, value in ((self.times, time_us), (self.ids, identity), (self.units, units)):
            column.insert(place, value)
        return True

    def learn(self, event_us: int, identity: int, known_us: int, label: int) -> bool:
        """Add what became known of an event; return whether anything changed.

        That an event is genuine is kept only of one that was called a fraud before: everything else is presumed so.
        """
        fact = 2 * known_us + label
        place = bisect_left(self.fact_events, event_us)
        known = False
        while place < len(self.facts) and self.fact_events[place] == event_us:
            if self.fact_ids[place] == identity:
                known = True
                if self.facts[place] == fact:
                    return False
            if (self.fact_ids[place], self.facts[place]) > (identity, fact):
                break
            place += 1
        if label == 0 and not known:
            return False
        for column, value in ((self.fact_events, event_us), (self.fact_ids, identity), (self.facts, fact)):
            column.insert(place, value)
        return True

    def forget(self, until_us: int) -> None:
        """Drop events up to and with this time, and what was learnt of them."""
        gone = bisect_right(self.times, until_us)
        if gone:
            del self.times[:gone], self.ids[:gone], self.units[:gone], self.counts[:gone]
        gone = bisect_right(self.fact_events, until_us)
        if gone:
            del self.fact_events[:gone], self.fact_ids[:gone], self.facts[:gone]

    def settle(self, max_events: int = MAX_EVENTS) -> None:
        """Bring the history down to so many entries, by settling the older ones into the finest grain that does."""
        if len(self.times) <= max_events:
            return
        keep = max_events // 2
        for grain in _GRAINS_US:
            # Whole grains only: a grain that is settled in part would be settled again, and differently.
            cut = bisect_left(self.times, self.times[-keep] // grain * grain)
            grains = len({time // grain for time in self.times[:cut]})
            if cut and (grains + len(self.times) - cut <= max_events or grain == _GRAINS_US[-1]):
                self._settle_before(cut, grain)
                return

    def _settle_before(self, cut: int, grain: int) -> None:
        times, units, counts = array("q"), array("q"), array("I")
        grain_of_last = None
        for place in range(cut):
            count = self.counts[place] if place < len(self.counts) else 1
            if self.times[place] // grain == grain_of_last:
                times[-1] = self.times[place]
                units[-1] += self.units[place]
                counts[-1] += count
            else:
                grain_of_last = self.times[place] // grain
                times.append(self.times[place])
                units.append(self.units[place])
                counts.append(count)
        self.settled_us = max(self.settled_us, times[-1])
        self.times = times + self.times[cut:]
        self.ids = array("Q", bytes(8 * len(times))) + self.ids[cut:]
        self.units = units + self.units[cut:]
        self.counts = counts + self.counts[cut:]


def identity_of(name: str) -> int:
    """Return the identity of a payment: 64 bits of its name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def units_of(amount: float) -> int:
    """Return an amount in whole millionths."""
    return round(amount * UNITS_PER_AMOUNT)
