"""The CSV a transform job reads and writes, and the reconciliation of the two. Pure."""

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ml_platform.core.errors import JobFailedError, SourceDataError
from ml_platform.core.verdict import Verdict

if TYPE_CHECKING:
    import polars as pl

ID = "transaction_id"
_UNSAFE_IN_CSV = re.compile(r'[",\r\n]')
_SHOWN = 3


def to_csv(frame: "pl.DataFrame", features: Sequence[str]) -> bytes:
    """Return the input of a transform job: one line per row, id first, features in order, no header.

    Raises:
        SourceDataError: When there are no rows, a column is missing, or an id is empty, repeated or unfit for CSV.
    """
    if frame.is_empty():
        raise SourceDataError("Cannot score: there are no rows.")
    missing = [name for name in (ID, *features) if name not in frame.columns]
    if missing:
        raise SourceDataError(f"Cannot score: the rows have no column {', '.join(missing)}.")
    ids = frame[ID].to_list()
    unusable = [str(value) for value in ids if not value or _UNSAFE_IN_CSV.search(str(value))]
    if unusable:
        raise SourceDataError(f"Cannot score: transaction ids {unusable[:_SHOWN]} do not fit into CSV.")
    if len(set(ids)) != len(ids):
        raise SourceDataError("Cannot score: a transaction id appears twice.")
    # As floats, whatever they are stored as: the model reads nothing else, and the text gives every bit back.
    columns = [frame[ID], *(frame[name].cast(float) for name in features)]
    buffer = io.BytesIO()
    frame.select(columns).write_csv(buffer, include_header=False)
    return buffer.getvalue()


def parse(content: bytes) -> "pl.DataFrame":
    """Return the transform job's answer as columns ``transaction_id`` and ``score``.

    Raises:
        JobFailedError: When a line is not an id and a number.
    """
    import polars as pl

    ids: list[str] = []
    scores: list[float] = []
    for number, line in enumerate(content.decode().split("\n"), start=1):
        if not line:
            continue
        try:
            identity, score = line.rsplit(",", 1)
            scores.append(float(score))
        except ValueError as error:
            raise JobFailedError(f"Line {number} of the transform job's output is {line[:80]!r}.") from error
        ids.append(identity)
    return pl.DataFrame({ID: ids, "score": scores}, schema={ID: pl.String, "score": pl.Float64})


def reconcile(asked: Sequence[str], scores: "pl.DataFrame") -> Verdict:
    """Compare the rows that came back with the rows that were sent: each exactly once, each with a score in [0, 1]."""
    answered = scores[ID].to_list()
    wanted, got = set(asked), set(answered)
    failures = []
    if len(asked) != len(answered):
        failures.append(f"{len(answered):,} scores for {len(asked):,} rows")
    if missing := sorted(wanted - got):
        failures.append(f"{len(missing):,} rows without a score, first {missing[:_SHOWN]}")
    if foreign := sorted(got - wanted):
        failures.append(f"{len(foreign):,} scores of rows nobody sent, first {foreign[:_SHOWN]}")
    if len(got) != len(answered):
        failures.append(f"{len(answered) - len(got):,} rows scored more than once")
    outside = scores.filter(~scores["score"].is_between(0.0, 1.0) | scores["score"].is_nan()).height
    if outside:
        failures.append(f"{outside:,} scores outside [0, 1]")
    return Verdict.of(failures)
