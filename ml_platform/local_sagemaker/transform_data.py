"""What a transform job does to bytes: cut input into requests, and put filters, input and answers together. Pure.

Sending the requests is ``transform_flow``; what filters may say is ``json_paths``.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from ml_platform.local_sagemaker.json_paths import ROOT, JsonPath, JsonPathError

# A server's advice on parallel requests and megabytes beyond this makes no sense on one machine.
MAX_ADVICE = 100
Columns = list[str]


class TransformDataError(Exception):
    """The data cannot be transformed as asked; the message is the job's failure reason."""


@dataclass(frozen=True)
class Rules:
    """DataProcessing of a job."""

    input_filter: str = ROOT
    output_filter: str = ROOT
    join_input: bool = False

    @property
    def passive(self) -> bool:
        """Whether bytes go to the server, and its answers to S3, just as they are."""
        return not self.join_input and self.input_filter == self.output_filter == ROOT


def check_path(path: str, *, is_csv: bool) -> None:
    """Refuse a filter that cannot be applied.

    Raises:
        TransformDataError: When it is outside the part of JSONPath that AWS documents.
    """
    known = _read(path)
    if is_csv and not known.for_columns:
        raise TransformDataError(f"The filter {path!r} is not supported for CSV, whose columns have no names.")


def select(path: str, document: Any) -> Any:
    """Return the part of a JSON document, or of a row's columns, that a path names.

    Raises:
        TransformDataError: When it is not there.
    """
    try:
        return _read(path).select(document)
    except JsonPathError as error:
        raise TransformDataError(str(error)) from error


def select_columns(path: str, columns: Columns) -> Columns:
    """Return the columns that a path such as ``$[0]``, ``$[1:]`` or ``$[0,5:]`` names, in its order.

    Raises:
        TransformDataError: When a column is not there.
    """
    found = select(path, columns)
    return found if isinstance(found, list) else [found]


@cache
def _read(path: str) -> JsonPath:
    try:
        return JsonPath.parse(path)
    except JsonPathError as error:
        raise TransformDataError(str(error)) from error


def batches(records: Iterable[str], max_bytes: int, *, single: bool) -> Iterator[list[str]]:
    """Yield the records of each request: one, or as many as fit into ``max_bytes``.

    Raises:
        TransformDataError: When one record alone is too large.
    """
    batch: list[str] = []
    size = 0
    for record in records:
        length = len(record.encode()) + 1
        if length > max_bytes:
            raise TransformDataError(f"ClientError: a record of {length} bytes is larger than MaxPayloadInMB allows.")
        if batch and (single or size + length > max_bytes):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += length
    if batch:
        yield batch


def filter_input(rules: Rules, record: str, *, is_csv: bool) -> str:
    """Return what the server gets of an input record."""
    if rules.input_filter == ROOT:
        return record
    if is_csv:
        return write_csv(select_columns(rules.input_filter, read_csv(record)))
    return json.dumps(select(rules.input_filter, _parse(record)))


def join_output(rules: Rules, record: str, answer: str, *, is_csv: bool) -> str:
    """Return the output line for an input record and the server's answer to it."""
    if is_csv:
        columns = [*read_csv(record), *read_csv(answer)] if rules.join_input else read_csv(answer)
        return write_csv(select_columns(rules.output_filter, columns))
    document = _parse(answer)
    if rules.join_input:
        given = _parse(record)
        document = (
            {**given, "SageMakerOutput": document}
            if isinstance(given, dict)
            else {"SageMakerInput": given, "SageMakerOutput": document}
        )
    return json.dumps(select(rules.output_filter, document))


def mark_output(line: str, inference_id: str, time: str, *, is_csv: bool) -> str:
    """Return an output line with the id and time under which ground truth can be merged with it later."""
    if is_csv:
        return write_csv([*read_csv(line), inference_id, time])
    document = json.loads(line)
    inner = document if isinstance(document, dict) else {"SageMakerOutput": document}
    return json.dumps({**inner, "SageMakerInferenceId": inference_id, "SageMakerInferenceTime": time})


def read_advice(answer: bytes | None) -> dict[str, Any]:
    """Return the usable part of ``/execution-parameters``; a server may answer anything there."""
    try:
        document = json.loads(answer or b"{}")
    except ValueError:
        return {}
    kinds = {"MaxConcurrentTransforms": int, "BatchStrategy": str, "MaxPayloadInMB": int}
    given = document if isinstance(document, dict) else {}
    usable = {name: given[name] for name, kind in kinds.items() if isinstance(given.get(name), kind)}
    return {name: value for name, value in usable.items() if isinstance(value, str) or 0 < value <= MAX_ADVICE}


def answer_lines(answer: bytes, expected: int) -> list[str]:
    """Return one answer per record.

    Raises:
        TransformDataError: When there are more or fewer: nothing could be joined.
    """
    lines = [line for line in answer.decode().splitlines() if line]
    if len(lines) != expected:
        raise TransformDataError(
            f"ClientError: the model answered {len(lines)} records to {expected}; they cannot be joined or filtered."
        )
    return lines


def read_csv(line: str) -> Columns:
    """Split one CSV line."""
    return next(csv.reader([line]), [])


def write_csv(columns: Columns) -> str:
    """Write one CSV line, without its end."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(columns)
    return buffer.getvalue()


def _parse(record: str) -> Any:
    try:
        return json.loads(record)
    except ValueError as error:
        raise TransformDataError(f"ClientError: a record is not JSON: {error}") from error
