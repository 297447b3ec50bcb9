"""Request and response bodies of ``/invocations``: CSV, JSON and JSON Lines, exact to the last bit.

Forms of a request:

- ``application/json``: ``{"instances": [instance, ...]}``
- ``application/jsonlines``: one instance per line
- ``text/csv``: one row per line, no header, features in the signature's order, an empty field is missing

An instance is an object with every feature by name (other keys are ignored, ``null`` is missing) or an array in the
signature's order. A response has one prediction per row, in order: ``{"predictions": [{"score": s, "flagged": f}]}``,
one such object per line, or one score per line. What else a caller may ask for (``modeling.asked``) stands beside the
score in each prediction; CSV has no place for it.
"""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ml_platform.modeling.contract import CONTENT_TYPES, CSV, JSON, JSON_LINES

if TYPE_CHECKING:
    import numpy as np

    from ml_platform.modeling.schema import Signature

_PREDICTION = ("score", "flagged")


class RequestError(ValueError):
    """The request cannot be answered; the message is one sentence for the caller."""

    status = 400


class UnsupportedContentTypeError(RequestError):
    """The body is in a form that the model does not read."""

    status = 415


class NotAcceptableError(RequestError):
    """The caller accepts none of the forms that the model writes."""

    status = 406


def decode_matrix(body: bytes, content_type: str, signature: "Signature") -> "np.ndarray":
    """Read a request body into an array of shape (n_rows, n_features), float64, NaN for missing.

    Raises:
        RequestError: When the body does not fit the content type or the signature.
        UnsupportedContentTypeError: When the content type is none of ours.
    """
    import numpy as np

    form = _media_type(content_type)
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(f"the body is not UTF-8 text (byte {error.start})") from error
    if form == JSON:
        rows = _json_rows(text, signature)
    elif form == JSON_LINES:
        rows = _json_lines_rows(text, signature)
    elif form == CSV:
        rows = _csv_rows(text, signature)
    else:
        raise UnsupportedContentTypeError(f"content type {content_type!r} is not one of {', '.join(CONTENT_TYPES)}")
    if not rows:
        raise RequestError("the body holds no row")
    matrix = np.array(rows, dtype="float64")
    # An infinity is a defect of the sender; JSON cannot even write it.
    if np.isinf(matrix).any():
        row, column = np.argwhere(np.isinf(matrix))[0]
        raise RequestError(f"row {row + 1}: {signature.features[column]} must be finite")
    return matrix


def encode_response(
    scores: "np.ndarray | Sequence[float]",
    threshold: float,
    accept: str,
    beside: "Sequence[Mapping[str, Any]] | None" = None,
) -> tuple[bytes, str]:
    """Write scores in the form the caller likes best; return the body and its content type.

    Args:
        scores: One per row.
        threshold: The score from which a row is flagged.
        accept: The forms that the caller takes.
        beside: What else stands in the prediction of each row.

    Raises:
        NotAcceptableError: When ``accept`` names none of our forms, or only CSV and there is something beside scores.
    """
    form = negotiate(accept)
    values = [float(score) for score in scores]
    if form == CSV and beside is not None:
        raise NotAcceptableError(f"reasons are not written as CSV: accept {JSON} or {JSON_LINES}")
    if form == CSV:
        return "".join(f"{value!r}\n" for value in values).encode(), "text/csv; charset=utf-8"
    predictions = [
        {"score": value, "flagged": value >= threshold, **more}
        for value, more in zip(values, beside or ({} for _ in values), strict=beside is not None)
    ]
    if form == JSON_LINES:
        return "".join(f"{json.dumps(prediction)}\n" for prediction in predictions).encode(), JSON_LINES
    return json.dumps({"predictions": predictions}).encode(), JSON


def decode_response(body: bytes, content_type: str) -> list[float]:
    """Return the scores of a response, in the request's order.

    Raises:
        RequestError: When the body is not a response of this contract.
    """
    form = _media_type(content_type)
    try:
        text = body.decode()
        if form == CSV:
            return [float(line) for line in text.splitlines() if line]
        if form == JSON_LINES:
            return [float(json.loads(line)["score"]) for line in text.splitlines() if line]
        if form == JSON:
            return [float(prediction["score"]) for prediction in json.loads(text)["predictions"]]
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(f"the response is not {form} of this contract ({error!r})") from error
    raise UnsupportedContentTypeError(f"content type {content_type!r} is not one of {', '.join(CONTENT_TYPES)}")


def decode_beside(body: bytes, content_type: str) -> list[Mapping[str, Any]]:
    """Return what stands beside score and flag in each prediction of a response that ``decode_response`` reads."""
    form, text = _media_type(content_type), body.decode()
    if form == CSV:
        return [{} for line in text.splitlines() if line]
    if form == JSON_LINES:
        predictions = [json.loads(line) for line in text.splitlines() if line]
    else:
        predictions = json.loads(text)["predictions"]
    return [{name: value for name, value in one.items() if name not in _PREDICTION} for one in predictions]


def encode_instances(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Write rows of feature values as an ``application/json`` request; None and NaN become ``null``.

    Raises:
        RequestError: When a value is not a finite number.
    """
    instances = [{name: _plain_number(name, value) for name, value in row.items()} for row in rows]
    return json.dumps({"instances": instances}, allow_nan=False).encode()


def encode_csv(matrix: "np.ndarray") -> bytes:
    """Write an array of shape (n_rows, n_features) as a ``text/csv`` request.

    Missing is ``nan``, because a row of one empty field would be an empty line.
    """
    return "".join(f"{','.join(map(repr, row))}\n" for row in matrix.tolist()).encode()


def negotiate(accept: str) -> str:
    """Return the content type of ours that an Accept header prefers; JSON when it does not say.

    Raises:
        NotAcceptableError: When it admits none of ours.
    """
    if not accept.strip():
        return JSON
    quality: dict[str, float] = {}
    for item in accept.split(","):
        media, *parameters = (part.strip().lower() for part in item.split(";"))
        quality[media] = _quality(parameters)
    ranked = [(_quality_of(form, quality), form) for form in CONTENT_TYPES]
    best = max(ranked, key=lambda pair: pair[0])
    if best[0] <= 0:
        raise NotAcceptableError(f"cannot answer as {accept!r}, only as {', '.join(CONTENT_TYPES)}")
    return best[1]


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def _quality_of(form: str, quality: Mapping[str, float]) -> float:
    """Return how much the caller wants a form: the most specific entry decides."""
    family = f"{form.split('/', maxsplit=1)[0]}/*"
    return next((quality[media] for media in (form, family, "*/*") if media in quality), 0.0)


def _media_type(content_type: str) -> str:
    return content_type.split(";", maxsplit=1)[0].strip().lower()


def _json_rows(text: str, signature: "Signature") -> list[list[float]]:
    document = _parse(text, "the body")
    instances = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(instances, list):
        raise RequestError('the body must be a JSON object {"instances": [...]}')
    return [_instance_row(instance, signature, number) for number, instance in enumerate(instances, 1)]


def _json_lines_rows(text: str, signature: "Signature") -> list[list[float]]:
    lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
    return [_instance_row(_parse(line, f"line {number}"), signature, number) for number, line in lines]


def _csv_rows(text: str, signature: "Signature") -> list[list[float]]:
    # Python reads 1_000 as a number; other readers of CSV do not.
    if "_" in text:
        raise RequestError("'_' is part of no number (send rows without a header)")
    width = len(signature.features)
    rows: list[list[float]] = []
    try:
        for fields in csv.reader(io.StringIO(text), strict=True, skipinitialspace=True):
            if not fields:
                continue
            if len(fields) != width:
                raise RequestError(f"row {len(rows) + 1} has {len(fields)} values, the model reads {width}")
            rows.append(_csv_row(fields, signature, len(rows) + 1))
    except csv.Error as error:
        raise RequestError(f"the body is not CSV ({error})") from error
    return rows


def _csv_row(fields: list[str], signature: "Signature", number: int) -> list[float]:
    try:
        # Ten times as fast as a look at each field, which only rows with a gap or a defect need.
        return list(map(float, fields))
    except ValueError:
        return [_field(text, number, name) for text, name in zip(fields, signature.features, strict=True)]


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{where} is not JSON ({error})") from error


def _instance_row(instance: Any, signature: "Signature", number: int) -> list[float]:
    if isinstance(instance, dict):
        try:
            values = [instance[name] for name in signature.features]
        except KeyError:
            absent = [name for name in signature.features if name not in instance]
            raise RequestError(f"row {number} lacks {', '.join(absent)}; send null if unknown") from None
    elif isinstance(instance, list):
        values = instance
        if len(values) != len(signature.features):
            raise RequestError(f"row {number} has {len(values)} values, the model reads {len(signature.features)}")
    else:
        raise RequestError(f"row {number} must be an object of features or an array of values")
    return [_number(value, number, name) for name, value in zip(signature.features, values, strict=True)]


def _number(value: Any, number: int, name: str) -> float:
    if value is None:
        return math.nan
    if not isinstance(value, int | float):
        raise RequestError(f"row {number}: {name} must be a number or null, not {type(value).__name__}")
    try:
        return float(value)
    except OverflowError as error:
        raise RequestError(f"row {number}: {name} must be finite") from error


def _field(text: str, number: int, name: str) -> float:
    if not text.strip():
        return math.nan
    try:
        return float(text)
    except ValueError as error:
        hint = " (send rows without a header)" if number == 1 else ""
        raise RequestError(f"row {number}: {name} must be a number or empty, not {text[:40]!r}{hint}") from error


def _plain_number(name: str, value: Any) -> float | None:
    """Return what JSON can write: numpy's numbers as Python's, NaN as None."""
    if value is None:
        return None
    if isinstance(value, str | bytes):
        raise RequestError(f"{name} must be a number or None, not {type(value).__name__}")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise RequestError(f"{name} must be a number or None ({error})") from error
    if math.isinf(number):
        raise RequestError(f"{name} must be finite")
    return None if math.isnan(number) else number
