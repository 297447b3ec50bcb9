"""Rows as bytes: what goes in comes out, singly and by table, whatever the type."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from ml_platform.features.online.codec import HEADER, RowSchema, entity_key, event_us_of, schema_of

MIXED = RowSchema((("n", "INT64"), ("word", "STRING"), ("x", "DOUBLE"), ("blob", "BYTES"), ("yes", "BOOL")))
NUMBERS = RowSchema(tuple((f"f{n}", "DOUBLE" if n % 2 else "INT64") for n in range(9)))
ROWS = [
    {"n": -(2**63), "word": "é", "x": 0.1, "blob": b"\0\1", "yes": True},
    {"n": 7, "word": "", "x": float("inf"), "blob": b"", "yes": False},
    dict.fromkeys(MIXED.names),
    {"n": None, "word": "only", "x": None, "blob": None, "yes": None},
]


@pytest.mark.parametrize("values", ROWS, ids=str)
def test_a_row_is_read_as_it_was_written(values: dict[str, object]) -> None:
    row = MIXED.pack(1_700_000_000_000_001, values, revision=3)
    assert MIXED.unpack(row) == (1_700_000_000_000_001, list(values.values()))
    assert (event_us_of(row), HEADER.unpack_from(row)[1], schema_of(row)) == (1_700_000_000_000_001, 3, MIXED.id)


def test_a_table_is_packed_as_its_rows_are() -> None:
    schema = pa.schema(
        [("n", pa.int64()), ("word", pa.string()), ("x", pa.float64()), ("blob", pa.binary()), ("yes", pa.bool_())]
    )
    table = pa.Table.from_pylist(ROWS, schema=schema)
    events = pa.array(range(len(ROWS)), pa.int64())
    assert MIXED.pack_table(table, events) == [MIXED.pack(event, row) for event, row in enumerate(ROWS)]
    # Nine features need two bytes of nulls.
    numbers = [{name: None if place == 8 else place for place, name in enumerate(NUMBERS.names)}] * 2
    packed = NUMBERS.pack_table(pa.Table.from_pylist(numbers), pa.array([5, 6], pa.int64()))
    assert [NUMBERS.unpack(row) for row in packed] == [(event, [0, 1, 2, 3, 4, 5, 6, 7, None]) for event in (5, 6)]


def test_a_type_without_a_place_of_its_own_is_kept_as_feasts_message() -> None:
    from ml_platform.features.online.messages import message_of, python_value, value_of

    schema = RowSchema((("tags", "STRING_LIST"), ("seen", "UNIX_TIMESTAMP")))
    at = datetime(2026, 1, 5, tzinfo=UTC)
    table = pa.table({"tags": [["a", "b"], None], "seen": [at, None]})
    first, second = (schema.unpack(row)[1] for row in schema.pack_table(table, pa.array([1, 2], pa.int64())))
    assert [python_value(value, kind) for value, (_, kind) in zip(first, schema.fields, strict=True)] == [
        ["a", "b"],
        at,
    ]
    assert second == [None, None]
    assert value_of(message_of(first[0], "STRING_LIST")) == first[0]


def test_keys_of_several_columns_cannot_be_mistaken_for_each_other() -> None:
    keys = [("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc"), (1, "bc")]
    assert len({entity_key(key) for key in keys}) == len(keys)
    assert entity_key(("card",)) == b"card"
    with pytest.raises(TypeError, match="cannot be part of an entity key"):
        entity_key((1.5,))


def test_schemas_tell_themselves_apart() -> None:
    assert RowSchema.from_json(MIXED.to_json()) == MIXED
    assert MIXED.id != RowSchema(MIXED.fields[:-1]).id
