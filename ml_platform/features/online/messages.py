"""Between our values and Feast's messages, for the calls of Feast that speak protobuf."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feast.protos.feast.types.Value_pb2 import Value

_FIELD = {
    "INT64": "int64_val",
    "INT32": "int32_val",
    "BOOL": "bool_val",
    "DOUBLE": "double_val",
    "FLOAT": "float_val",
    "BYTES": "bytes_val",
    "STRING": "string_val",
}
_PLAIN = frozenset(_FIELD.values())


def value_of(message: "Value") -> Any:
    """Return a message's value as a row keeps it: a number, a text, bytes, or the message itself as bytes."""
    kind = message.WhichOneof("val")
    if kind is None:
        return None
    return getattr(message, kind) if kind in _PLAIN else message.SerializeToString()


def message_of(value: Any, value_type: str) -> "Value":
    """Return the message of a value that a row of this Feast type keeps; None gives an empty one."""
    from feast.protos.feast.types.Value_pb2 import Value

    if value is None:
        return Value()
    if value_type in _FIELD:
        message = Value()
        setattr(message, _FIELD[value_type], bool(value) if value_type == "BOOL" else value)
        return message
    parsed: Value = Value.FromString(value)
    return parsed


def python_value(value: Any, value_type: str) -> Any:
    """Return what Feast's ``to_dict`` gives for a value that a row of this type keeps."""
    if value is None or value_type in ("INT64", "INT32", "DOUBLE", "FLOAT", "BYTES", "STRING"):
        return value
    if value_type == "BOOL":
        return bool(value)
    from feast.type_map import feast_value_type_to_python_type
    from feast.value_type import ValueType

    return feast_value_type_to_python_type(message_of(value, value_type), ValueType[value_type])
