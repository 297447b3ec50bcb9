"""Parse what an endpoint recorded: SageMaker's data-capture JSON lines become rows of features and scores.

Pure. A line that cannot be read is counted with its reason, never dropped silently. The layout is AWS's
(``captureData``, ``eventMetadata``, ``eventVersion`` "0").
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ml_platform.modeling import codec
from ml_platform.modeling.schema import SCORE, Signature

if TYPE_CHECKING:
    import pandas as pd

SYNTHETIC_IDS = ("smoke-test", "steady-")
"""Inference ids of our own probes: they are not payments and would look like drift."""

KEYS = ("event_id", "inference_id", "inference_time", "variant")
EVENT_VERSION = "0"


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
    rows: list[dict[str, Any]] = []
    rejected: list[str] = []
    synthetic = 0
    for line in lines:
        if not line.strip():
            continue
        try:
            found = _rows_of(json.loads(line), signature)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            rejected.append(f"{type(error).__name__}: {str(error)[:160]}")
        except KeyError as error:
            rejected.append(f"KeyError: the record lacks {error}")
        else:
            if found[0]["inference_id"].startswith(SYNTHETIC_IDS):
                synthetic += len(found)
            else:
                rows.extend({**row, "variant": variant} for row in found)
    return CaptureBatch(_frame(rows, signature), tuple(rejected), synthetic)


def _frame(rows: list[dict[str, Any]], signature: Signature) -> "pd.DataFrame":
    import pandas as pd

    frame = pd.DataFrame(rows, columns=[*KEYS, *signature.features, SCORE])
    frame["inference_time"] = pd.to_datetime(frame["inference_time"], utc=True)
    numbers = dict.fromkeys((*signature.features, SCORE), "float64")
    return frame.astype({**numbers, "event_id": "object", "inference_id": "object", "variant": "object"})


def _rows_of(record: dict[str, Any], signature: Signature) -> list[dict[str, Any]]:
    """One captured exchange holds one row per instance of the request."""
    if record.get("eventVersion") != EVENT_VERSION:
        raise ValueError(f"eventVersion {record.get('eventVersion')!r} is not {EVENT_VERSION!r}")
    captured, metadata = record["captureData"], record["eventMetadata"]
    asked, answered = captured["endpointInput"], captured["endpointOutput"]
    matrix = codec.decode_matrix(_body(asked), asked["observedContentType"], signature)
    scores = codec.decode_response(_body(answered), answered["observedContentType"])
    if len(matrix) != len(scores):
        raise ValueError(f"{len(matrix)} rows asked, {len(scores)} scores answered")
    identity = {
        "event_id": str(metadata["eventId"]),
        "inference_id": str(metadata.get("inferenceId") or ""),
        "inference_time": _instant(metadata["inferenceTime"]),
    }
    return [
        {**identity, **dict(zip(signature.features, values, strict=True)), SCORE: score}
        for values, score in zip(matrix.tolist(), scores, strict=True)
    ]


def _instant(text: str) -> datetime:
    # Here and not over the whole column: one odd time must not cost the other rows.
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _body(side: dict[str, Any]) -> bytes:
    data: str = side["data"]
    return base64.b64decode(data, validate=True) if side["encoding"] == "BASE64" else data.encode()
