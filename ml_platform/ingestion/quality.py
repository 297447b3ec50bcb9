"""The rules of a declaration, as a pandera schema, and how they part good rows from quarantined ones. Pure.

A row is quarantined with every reason that applies. Where rows come from is ``source``, where they go ``landing``.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from ml_platform.ingestion.declaration import Column, Kind, TableDeclaration
from ml_platform.ingestion.lean_pandera import import_lean_pandera
from ml_platform.ingestion.schema import (
    ARRIVED_AT,
    PARTITION_DAY,
    PAYLOAD,
    SURPLUS_FIELD,
    column_type,
    instant_type,
    parse,
    with_optional,
)

if TYPE_CHECKING:
    import pandera.polars as pa
    import polars as pl

REASON = "reason"
_SEPARATOR = "; "
_ROW = "row"

_UNREADABLE: dict[Kind, str] = {
    "identifier": "missing",
    "instant": "unparsable",
    "amount": "not a number",
    "label": "neither 0 nor 1",
}
"""What is wrong with a value that is there and cannot be read as its kind."""


@dataclass(frozen=True, slots=True)
class Split:
    """Rows after the rules, in the source's order; both frames keep ``partition_day``.

    ``good`` has the table's columns and types. ``quarantined`` has the same columns as the strings that the source
    gave, ``payload``, which is what came when it could not be told apart into columns, and ``reason``.
    """

    good: "pl.DataFrame"
    quarantined: "pl.DataFrame"

    def reasons(self) -> dict[str, int]:
        """Return how many rows broke each rule, the most broken first; a row counts once for each of its reasons."""
        single = self.quarantined[REASON].str.split(_SEPARATOR).explode()
        counts = single.value_counts().sort("count", REASON, descending=[True, False])
        return dict(counts.iter_rows())


def split_rows(declared: TableDeclaration, raw: "pl.DataFrame", now: datetime | None = None) -> Split:
    """Split raw rows by the rules of a declaration.

    Of several rows with one key the first that breaks no other rule is good.
    Without ``now`` and ``arrived_at`` no row is from the future.
    """
    import polars as pl

    raw = with_optional(declared, raw)
    parsed = pl.DataFrame([parse(raw[column.name], column.kind) for column in declared.columns])
    reasons = pl.concat(
        [
            _unreadable_rows(raw),
            _unreadable_values(declared, raw, parsed),
            _broken_rules(
                declared, parsed.with_columns(raw[PARTITION_DAY]), _from_the_future(declared, raw, parsed, now)
            ),
        ]
    )
    reasons = pl.concat([reasons, _repeated_keys(declared, parsed, reasons)])
    by_row = reasons.group_by(_ROW, maintain_order=True).agg(pl.col(REASON).unique(maintain_order=True))
    told = by_row.select(pl.col(_ROW), pl.col(REASON).list.join(_SEPARATOR))
    numbered = raw.with_row_index(_ROW)
    bad = numbered.join(told, on=_ROW, how="inner", maintain_order="left")
    payload = pl.col(PAYLOAD) if PAYLOAD in raw.columns else pl.lit(None, pl.String).alias(PAYLOAD)
    return Split(
        good=parsed.with_columns(raw[PARTITION_DAY]).filter(~numbered[_ROW].is_in(told[_ROW].implode())),
        quarantined=bad.select(
            pl.col(declared.names).cast(pl.String, strict=False), PARTITION_DAY, payload, pl.col(REASON)
        ),
    )


@cache
def rules_of(declared: TableDeclaration) -> "pa.DataFrameSchema":
    """Return the declaration's rules for parsed rows with their ``partition_day``; each names the reason it gives.

    That a value is there and readable is not among them: only the raw value tells the one from the other.
    """
    import pandera.polars as pa
    import polars as pl

    columns = {
        column.name: pa.Column(column_type(column.kind), _checks(column), nullable=True) for column in declared.columns
    }
    filed = pl.col(declared.event_time).dt.date() == pl.col(PARTITION_DAY)
    rules = {f"{declared.event_time} outside the partition day": filed}
    for later, earlier in declared.not_before:
        rules[f"{later} before {earlier}"] = pl.col(later) >= pl.col(earlier)
    checks = [_check(reason, holds) for reason, holds in rules.items()]
    return pa.DataFrameSchema(columns | {PARTITION_DAY: pa.Column(pl.Date())}, checks=checks, ordered=True, strict=True)


def _checks(column: Column) -> "list[pa.Check]":
    import polars as pl

    if column.kind != "amount":
        return []
    value = pl.col(column.name)
    return [
        _check(f"{column.name} infinite", value.is_infinite().not_()),
        _check(f"{column.name} negative", value >= 0),
    ]


def _check(reason: str, holds: "pl.Expr") -> "pa.Check":
    """Return a rule for whole rows; where a value is missing it says nothing."""
    import pandera.polars as pa

    return pa.Check(lambda rows: rows.lazyframe.select(holds.fill_null(value=True)), name=reason, error=reason)


def _broken_rules(declared: TableDeclaration, parsed: "pl.DataFrame", early: "pl.Series") -> "pl.DataFrame":
    """Return row and reason of every rule that a row breaks; ``early`` rows are from the future."""
    import_lean_pandera()
    import pandera.polars as pa
    import polars as pl

    try:
        # A row from the future lies outside its day as well; one reason says it.
        judged = parsed.with_columns(
            pl.when(early).then(None).otherwise(pl.col(declared.event_time)).alias(declared.event_time)
        )
        rules_of(declared).validate(judged, lazy=True)
        broken = _no_reasons()
    except pa.errors.SchemaErrors as error:
        broken = error.failure_cases.select(pl.col("index").cast(pl.UInt32).alias(_ROW), pl.col("check").alias(REASON))
    return pl.concat([_reasons(early, f"{declared.event_time} in the future"), broken])


def _from_the_future(
    declared: TableDeclaration, raw: "pl.DataFrame", parsed: "pl.DataFrame", now: datetime | None
) -> "pl.Series":
    """Whether each row happened after it arrived, or after ``now`` where the source does not say when that was."""
    import polars as pl

    known = ARRIVED_AT in raw.columns
    arrived = raw[ARRIVED_AT] if known else pl.repeat(now, len(raw), dtype=instant_type(), eager=True)
    return (parsed[declared.event_time] > arrived + declared.clock_tolerance).fill_null(value=False)


def _unreadable_rows(raw: "pl.DataFrame") -> "pl.DataFrame":
    """Return the rows of a file with a stray field, all after which belong to other columns, and unreadable records."""
    import polars as pl

    whole = {SURPLUS_FIELD: "more fields than columns", PAYLOAD: "record unreadable"}
    found = [_reasons(raw[column].is_not_null(), reason) for column, reason in whole.items() if column in raw.columns]
    return pl.concat([_no_reasons(), *found])


def _unreadable_values(declared: TableDeclaration, raw: "pl.DataFrame", parsed: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    there = pl.repeat(value=True, n=len(raw), dtype=pl.Boolean, eager=True)
    if PAYLOAD in raw.columns:
        # Nothing is known of the columns of a record that could not be read.
        there = raw[PAYLOAD].is_null()
    found = []
    for column in declared.columns:
        missing = _is_missing(raw[column.name])
        if column.optional:
            found.append(
                _reasons(parsed[column.name].is_null() & ~missing, f"{column.name} {_UNREADABLE[column.kind]}")
            )
            continue
        # A label without a value is no label, and an unreadable identifier reads as a blank one.
        unreadable = parsed[column.name].is_null() & there
        if column.kind == "label":
            found.append(_reasons(unreadable, f"{column.name} {_UNREADABLE['label']}"))
            continue
        found.append(_reasons(unreadable & missing, f"{column.name} missing"))
        found.append(_reasons(unreadable & ~missing, f"{column.name} {_UNREADABLE[column.kind]}"))
    return pl.concat(found)


def _is_missing(values: "pl.Series") -> "pl.Series":
    """Whether a raw value is null, blank as in CSV, or NaN as pandas writes it."""
    import polars as pl

    if values.dtype == pl.String:
        return values.is_null() | (values.str.strip_chars() == "").fill_null(value=False)
    if values.dtype.is_float():
        return values.is_null() | values.is_nan().fill_null(value=False)
    return values.is_null()


def _repeated_keys(declared: TableDeclaration, parsed: "pl.DataFrame", broken: "pl.DataFrame") -> "pl.DataFrame":
    """Return the rows whose key an unbroken row before them has."""
    import polars as pl

    # Of an optional column "nobody said" is a value like any other; rows must not differ by it alone and be lost.
    keys = parsed.select(declared.key).with_columns(
        pl.col(name).fill_null("") for name in declared.key if declared.column(name).optional
    )
    keys = keys.with_row_index(_ROW)
    if not keys.select(pl.struct(declared.key).is_duplicated().any()).item():
        return _no_reasons()
    keys = keys.with_columns(unbroken=~keys[_ROW].is_in(broken[_ROW].implode()))
    first_unbroken = pl.col(_ROW).filter("unbroken").min().over(declared.key)
    has_key = pl.all_horizontal(pl.col(declared.key).is_not_null())
    repeats = keys.select((has_key & (pl.col(_ROW) > first_unbroken)).fill_null(value=False)).to_series()
    return _reasons(repeats, f"{declared.key[0]} duplicate")


def _reasons(broken: "pl.Series", reason: str) -> "pl.DataFrame":
    import polars as pl

    return pl.DataFrame({_ROW: broken.arg_true().cast(pl.UInt32)}).with_columns(pl.lit(reason).alias(REASON))


def _no_reasons() -> "pl.DataFrame":
    import polars as pl

    return pl.DataFrame(schema={_ROW: pl.UInt32, REASON: pl.String})
