"""Parse what an endpoint recorded: SageMaker's data-capture JSON lines become rows of features and scores.

Pure. A line that cannot be read is counted with its reason, never dropped silently. The layout is AWS's
(``captureData``, ``eventMetadata``, ``eventVersion`` "0").
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ml_platform.modeling import codec
from ml_platform.modeling.schema import SCORE, Signature

if TYPE_CHECKING:
    import pandas as pd

SYNTHETIC_IDS = ("smoke-test", "steady-")
"""Inference ids of our own probes: they are not payments and would look like drift."""

KEYS = ("event_id", "inference_id", "inference_time", "variant")


@dataclass(frozen=True)
class CaptureBatch:
    """Captured requests as rows: ``KEYS``, the features served, and ``score``; and what could not be read."""

    frame: "pd.DataFrame"
    rejected: tuple[str, ...] = ()
    synthetic: int = 0


def parse(lines: Iterable[str], signature: Signature, variant: str = "") -> CaptureBatch:
    """Parse capture lines of one variant.

    Args:
        lines: JSON lines.
        signature: The served model's.
        variant: Name of the production variant, which only the object's key tells.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    rejected: list[str] = []
    synthetic = 0
    for line in lines:
        if not line.strip():
            continue
        try:
            found = _rows_of(json.loads(line), signature)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            rejected.append(f"{type(error).__name__}: {str(error)[:160]}")
            continue
        if str(found[0]["inference_id"]).startswith(SYNTHETIC_IDS):
            synthetic += len(found)
            continue
        rows.extend({**row, "variant": variant} for row in found)
    columns = [*KEYS, *signature.features, SCORE]
    frame = pd.DataFrame(rows, columns=columns)
    frame["inference_time"] = pd.to_datetime(frame["inference_time"], utc=True, format="ISO8601")
    for name in (*signature.features, SCORE):
        frame[name] = frame[name].astype("float64")
    return CaptureBatch(frame, tuple(rejected), synthetic)


def _rows_of(record: dict[str, Any], signature: Signature) -> list[dict[str, Any]]:
    """One captured exchange holds one row per instance of the request."""
    captured, metadata = record["captureData"], record["eventMetadata"]
    asked, answered = captured["endpointInput"], captured["endpointOutput"]
    matrix = codec.decode_matrix(_body(asked), asked["observedContentType"], signature)
    scores = codec.decode_response(_body(answered), answered["observedContentType"])
    if not scores or len(matrix) != len(scores):
        raise ValueError(f"{len(matrix)} rows asked, {len(scores)} scores answered")
    return [
        {
            "event_id": metadata["eventId"],
            "inference_id": metadata.get("inferenceId", ""),
            "inference_time": metadata["inferenceTime"],
            **dict(zip(signature.features, (float(value) for value in values), strict=True)),
            SCORE: score,
        }
        for values, score in zip(matrix, scores, strict=True)
    ]


def _body(side: dict[str, Any]) -> bytes:
    data: str = side["data"]
    return base64.b64decode(data) if side["encoding"] == "BASE64" else data.encode()
