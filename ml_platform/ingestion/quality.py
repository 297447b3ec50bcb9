"""Rules that part good rows from quarantined ones, and say why. Pure: frames in, frames out.

A row is quarantined with every reason that applies. Where rows come from is ``source``, where they go ``landing``.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml_platform.ingestion.schema import (
    LABEL_COLUMNS,
    PARTITION_DAY,
    SURPLUS_FIELD,
    TRANSACTION_COLUMNS,
    parse_amounts,
    parse_ids,
    parse_labels,
    parse_times,
)

if TYPE_CHECKING:
    import polars as pl

REASON = "reason"
_SEPARATOR = "; "


@dataclass(frozen=True, slots=True)
class Split:
    """Rows after the rules, in the source's order; both frames keep ``partition_day``.

    ``good`` has the table's columns and types. ``quarantined`` has the same columns as the strings that the source
    gave, and ``reason``.
    """

    good: "pl.DataFrame"
    quarantined: "pl.DataFrame"

    def reasons(self) -> dict[str, int]:
        """Return how many rows broke each rule, the most broken first; a row counts once for each of its reasons."""
        single = self.quarantined[REASON].str.split(_SEPARATOR).explode()
        counts = single.value_counts().sort("count", REASON, descending=[True, False])
        return dict(counts.iter_rows())


def split_transactions(raw: "pl.DataFrame") -> Split:
    """Split the raw transactions of one or several days.

    Of several rows with one transaction_id the first that breaks no other rule is good.
    """
    import polars as pl

    parsed = pl.DataFrame(
        [
            parse_ids(raw["transaction_id"]),
            parse_times(raw["event_time"]),
            parse_ids(raw["customer_id"]),
            parse_ids(raw["terminal_id"]),
            parse_amounts(raw["amount"]),
        ]
    )
    amount = parsed["amount"]
    broken = {
        **_broken_row(raw),
        "transaction_id missing": parsed["transaction_id"].is_null(),
        **_broken_times(raw["event_time"], parsed["event_time"]),
        "event_time outside the partition day": parsed["event_time"].dt.date() != raw[PARTITION_DAY],
        "customer_id missing": parsed["customer_id"].is_null(),
        "terminal_id missing": parsed["terminal_id"].is_null(),
        "amount missing": _is_missing(raw["amount"]),
        "amount not a number": amount.is_null() & ~_is_missing(raw["amount"]),
        "amount infinite": amount.is_infinite(),
        "amount negative": amount < 0,
    }
    return _split(raw, parsed.select(TRANSACTION_COLUMNS), broken, unique_by=("transaction_id",))


def split_labels(raw: "pl.DataFrame") -> Split:
    """Split raw labels; one transaction may have several, known at different times."""
    import polars as pl

    parsed = pl.DataFrame(
        [
            parse_ids(raw["transaction_id"]),
            parse_labels(raw["label"]),
            parse_times(raw["event_time"]),
            parse_times(raw["known_time"]),
        ]
    )
    broken = {
        **_broken_row(raw),
        "transaction_id missing": parsed["transaction_id"].is_null(),
        "label neither 0 nor 1": parsed["label"].is_null(),
        **_broken_times(raw["event_time"], parsed["event_time"]),
        **_broken_times(raw["known_time"], parsed["known_time"]),
        "known_time outside the partition day": parsed["known_time"].dt.date() != raw[PARTITION_DAY],
        "known_time before event_time": parsed["known_time"] < parsed["event_time"],
    }
    return _split(raw, parsed.select(LABEL_COLUMNS), broken, unique_by=("transaction_id", "known_time"))


def _broken_row(raw: "pl.DataFrame") -> "dict[str, pl.Series]":
    # Which of its fields is the stray one nobody knows: all after it belong to other columns.
    return {"more fields than columns": raw[SURPLUS_FIELD].is_not_null()} if SURPLUS_FIELD in raw.columns else {}


def _broken_times(raw: "pl.Series", parsed: "pl.Series") -> "dict[str, pl.Series]":
    missing = _is_missing(raw)
    return {f"{raw.name} missing": missing, f"{raw.name} unparsable": parsed.is_null() & ~missing}


def _is_missing(values: "pl.Series") -> "pl.Series":
    """Whether a raw value is null, blank as in CSV, or NaN as pandas writes it."""
    import polars as pl

    if values.dtype == pl.String:
        return values.is_null() | (values.str.strip_chars() == "").fill_null(value=False)
    if values.dtype.is_float():
        return values.is_null() | values.is_nan().fill_null(value=False)
    return values.is_null()


def _split(
    raw: "pl.DataFrame", parsed: "pl.DataFrame", broken: "dict[str, pl.Series]", unique_by: tuple[str, ...]
) -> Split:
    """Part the rows that break a rule, or repeat a good row before them, from the others."""
    import polars as pl

    rules = pl.DataFrame([flags.fill_null(value=False).alias(reason) for reason, flags in broken.items()])
    rules = rules.with_columns(
        _repeats(parsed, ~rules.select(pl.any_horizontal(pl.all())).to_series(), unique_by).alias(
            f"{unique_by[0]} duplicate"
        )
    )
    bad = rules.select(pl.any_horizontal(pl.all()).alias("bad")).to_series()
    reason = pl.concat_str(
        [pl.when(pl.col(rule)).then(pl.lit(rule)) for rule in rules.columns], separator=_SEPARATOR, ignore_nulls=True
    )
    as_given = raw.filter(bad).select(pl.col(parsed.columns).cast(pl.String, strict=False), PARTITION_DAY)
    return Split(
        good=parsed.with_columns(raw[PARTITION_DAY]).filter(~bad),
        quarantined=as_given.with_columns(rules.filter(bad).select(reason.alias(REASON)).to_series()),
    )


def _repeats(parsed: "pl.DataFrame", unbroken: "pl.Series", unique_by: tuple[str, ...]) -> "pl.Series":
    """Whether an unbroken row with the same key comes before each row."""
    import polars as pl

    keys = parsed.select(unique_by).with_columns(unbroken=unbroken).with_row_index("row")
    if not keys.select(pl.struct(unique_by).is_duplicated().any()).item():
        return pl.repeat(value=False, n=len(keys), dtype=pl.Boolean, eager=True)
    first_unbroken = pl.col("row").filter("unbroken").min().over(unique_by)
    has_key = pl.all_horizontal(pl.col(unique_by).is_not_null())
    return keys.select((has_key & (pl.col("row") > first_unbroken)).fill_null(value=False)).to_series()
