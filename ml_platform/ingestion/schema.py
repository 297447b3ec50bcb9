"""Names and types of what ingestion reads and lands, and how a source's values become them.

Columns are declared in ``declaration``; which rows are good enough is ``quality``. Parsing never raises: what cannot
be read becomes null.
"""

from typing import TYPE_CHECKING

from ml_platform.ingestion import declaration
from ml_platform.ingestion.declaration import Kind, TableDeclaration

if TYPE_CHECKING:
    import polars as pl

TRANSACTIONS = declaration.TRANSACTIONS.name
FRAUD_LABELS = declaration.FRAUD_LABELS.name
TRANSACTION_COLUMNS = declaration.TRANSACTIONS.names
LABEL_COLUMNS = declaration.FRAUD_LABELS.names

PARTITION_DAY = "partition_day"
"""The day a source files a row under: also a row without a readable time belongs to one, and is landed once."""

SURPLUS_FIELD = "surplus_field"
"""What a row of a CSV file has beyond its header's columns, if a source has this column at all: a stray comma."""

PAYLOAD = "payload"
"""A record that could not be told apart into columns, as it came; null for every other row."""

ARRIVED_AT = "arrived_at"
"""When a row reached the source, if the source says so: how far a sender's clock was ahead is judged by it."""

# Naive times are UTC. The first format that fits most sources comes first: the others run only on what is left.
_TIME_FORMATS = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d",
)
# Epoch numbers say their unit by their size: these bounds part seconds, milliseconds and microseconds up to the
# year 5138.
_EPOCH_SECONDS_BELOW = 10**11
_EPOCH_MILLISECONDS_BELOW = 10**14
_EPOCH_MICROSECONDS_BELOW = 10**17


def instant_type() -> "pl.Datetime":
    """Return the type of every time: microseconds in UTC."""
    import polars as pl

    return pl.Datetime("us", "UTC")


def column_type(kind: Kind) -> "pl.DataType":
    """Return the type of a column of this kind."""
    import polars as pl

    types: dict[Kind, pl.DataType] = {
        "identifier": pl.String(),
        "instant": instant_type(),
        "amount": pl.Float64(),
        "label": pl.Int8(),
    }
    return types[kind]


def empty_table(declared: TableDeclaration) -> "pl.DataFrame":
    """Return a declared table of a day on which nothing happened."""
    import polars as pl

    return pl.DataFrame(schema={column.name: column_type(column.kind) for column in declared.columns})


def with_optional(declared: TableDeclaration, raw: "pl.DataFrame") -> "pl.DataFrame":
    """Return a source's rows with every optional column that it lacks, without values."""
    import polars as pl

    lacking = [column.name for column in declared.columns if column.optional and column.name not in raw.columns]
    return raw.with_columns(pl.lit(None, pl.String).alias(name) for name in lacking) if lacking else raw


def parse(values: "pl.Series", kind: Kind) -> "pl.Series":
    """Return a source's values as the type of this kind."""
    readers = {"identifier": parse_ids, "instant": parse_times, "amount": parse_amounts, "label": parse_labels}
    return readers[kind](values)


def parse_ids(values: "pl.Series") -> "pl.Series":
    """Return identifiers as strings without surrounding blanks; blank ones become null."""
    import polars as pl

    if values.dtype.is_float():
        # pandas turns integers with gaps into floats: 596.0 is customer 596.
        whole = values.cast(pl.Int64, strict=False)
        values = whole if (whole.cast(pl.Float64) == values).all() else values
    text = values.cast(pl.String, strict=False).str.strip_chars()
    return text.set(text == "", None)


def parse_amounts(values: "pl.Series") -> "pl.Series":
    """Return amounts as floats; NaN, which pandas writes for a gap, becomes null."""
    import polars as pl

    if values.dtype == pl.String:
        values = values.str.strip_chars()
    return values.cast(pl.Float64, strict=False).fill_nan(None)


def parse_labels(values: "pl.Series") -> "pl.Series":
    """Return 1 for fraud and 0 for genuine, from numbers, booleans or their spellings."""
    import polars as pl

    if values.dtype == pl.String:
        values = values.str.strip_chars().str.to_lowercase().replace({"true": "1", "false": "0"})
    number = values.cast(pl.Float64, strict=False)
    return number.set(~number.is_in([0.0, 1.0]), None).cast(pl.Int8)


def parse_times(values: "pl.Series") -> "pl.Series":
    """Return instants in UTC from timestamps, dates, ISO 8601 strings or epoch numbers; naive times are UTC."""
    import polars as pl

    if values.dtype == pl.Datetime:
        zoned = values if values.dtype.time_zone else values.dt.replace_time_zone("UTC")  # type: ignore[attr-defined]
        return zoned.dt.convert_time_zone("UTC").cast(instant_type())
    if values.dtype == pl.Date:
        return values.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if values.dtype.is_numeric():
        return _parse_epochs(values)
    if values.dtype == pl.String:
        return _parse_text_times(values)
    return pl.Series(values.name, [None] * len(values), instant_type())


def _parse_text_times(values: "pl.Series") -> "pl.Series":
    import polars as pl

    text = values.str.strip_chars().str.replace(r"[zZ]$", "+00:00")
    parsed = pl.Series(values.name, [], instant_type()).extend_constant(None, len(text))
    for time_format in _TIME_FORMATS:
        left = parsed.is_null() & text.is_not_null()
        if not left.any():
            break
        attempt = text.str.to_datetime(time_format, time_unit="us", strict=False)
        zoned = attempt if attempt.dtype.time_zone else attempt.dt.replace_time_zone("UTC")  # type: ignore[attr-defined]
        parsed = parsed.zip_with(~left, zoned)
    # Shorter digits would rather be dates such as 20180401 than instants in the year 1970.
    epochs = _parse_epochs(text.set(~text.str.contains(r"^\d{10,}$"), None))
    return parsed.zip_with(parsed.is_not_null(), epochs)


def _parse_epochs(values: "pl.Series") -> "pl.Series":
    import polars as pl

    number = pl.col("number")
    microseconds = (
        pl.when(number < _EPOCH_SECONDS_BELOW)
        .then(number * 1_000_000)
        .when(number < _EPOCH_MILLISECONDS_BELOW)
        .then(number * 1_000)
        .when(number < _EPOCH_MICROSECONDS_BELOW)
        .then(number)
        .otherwise(number // 1_000)
    )
    frame = values.cast(pl.Int64, strict=False).alias("number").to_frame()
    return frame.select(microseconds.cast(instant_type()).alias(values.name)).to_series()
