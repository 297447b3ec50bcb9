"""Parse what an endpoint recorded: SageMaker's data-capture JSON lines become rows of features and scores.

Pure. A line that cannot be read is counted with its reason, never dropped silently. The layout is AWS's
(``captureData``, ``eventMetadata``, ``eventVersion`` "0").
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ml_platform.modeling import codec
from ml_platform.modeling.schema import SCORE, Signature

if TYPE_CHECKING:
    import pandas as pd

SYNTHETIC_IDS = re.compile(r"steady-\d+")
"""Inference ids of our own probes, whole: they are not payments and would look like drift."""

KEYS = ("event_id", "inference_id", "inference_time", "variant")
FINGERPRINT, POLICY, REASONS = "artifact_fingerprint", "policy_version", "reasons"
RECORDED = (FINGERPRINT, POLICY, REASONS)
"""What a request may have asked the answer to record (``modeling.asked``), empty where it did not; reasons as JSON."""
EVENT_VERSION = "0"


PLAUSIBLE_YEARS = range(2000, 2200)
"""A time outside is a defect of the record, and some of them do not fit into a column of times."""


@dataclass(frozen=True)
class Reject:
    """A captured line that could not be read. The time tells whether the live model or an earlier one served it."""

    reason: str
    inference_time: datetime | None = None


@dataclass(frozen=True)
class CaptureBatch:
    """Captured requests as rows: ``KEYS``, the features served, ``score`` and ``RECORDED``; and what could not be read.

    Every line is in one of three places: in ``frame`` (a row per instance of the request), among the ``rejects``, or
    counted as ``synthetic``.
    """

    frame: "pd.DataFrame"
    rejects: tuple[Reject, ...] = ()
    synthetic: int = 0

    @property
    def rejected(self) -> tuple[str, ...]:
        """Why each rejected line could not be read."""
        return tuple(reject.reason for reject in self.rejects)


def parse(lines: Iterable[str], signature: Signature, variant: str = "") -> CaptureBatch:
    """Parse capture lines of one variant.

    A line of another model, captured in the same hour before a swap, is rejected unless it has every feature of this
    one; whoever weighs the rejects must leave out those from before the swap.

    Args:
        lines: JSON lines; blank ones are no lines.
        signature: The served model's.
        variant: Name of the production variant, which only the object's key tells.
    """
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    synthetic = 0
    for line in lines:
        if not line.strip():
            continue
        identity: dict[str, Any] = {}
        try:
            record = json.loads(line)
            identity = _identity(record)
            # Before the body is read: a probe of an earlier model is still a probe.
            if SYNTHETIC_IDS.fullmatch(identity["inference_id"]):
                synthetic += 1
            else:
                rows.extend({**identity, **row, "variant": variant} for row in _rows_of(record, signature))
        except _DEFECTS as error:
            rejects.append(Reject(_reason(error), identity.get("inference_time")))
    return CaptureBatch(_frame(rows, signature), tuple(rejects), synthetic)


_DEFECTS = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)
"""What reading a record of any shape can raise: a wrong type, a missing key, a number or a nesting without end."""


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"KeyError: the record lacks {error}"
    return f"{type(error).__name__}: {str(error)[:160]}"


def answers_to_one_payment(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the rows that belong to one payment each, the earliest first.

    A request with several instances has one inference id for all of them: nobody can tell whose score is whose.
    The same line captured twice is one answer.
    """
    named = frame[frame["inference_id"].fillna("") != ""].drop_duplicates()
    alone = named[~named["event_id"].duplicated(keep=False)]
    return alone.sort_values("inference_time", kind="stable").reset_index(drop=True)


def _frame(rows: list[dict[str, Any]], signature: Signature) -> "pd.DataFrame":
    import pandas as pd

    frame = pd.DataFrame(rows, columns=[*KEYS, *signature.features, SCORE, *RECORDED])
    frame["inference_time"] = pd.to_datetime(frame["inference_time"], utc=True)
    numbers = dict.fromkeys((*signature.features, SCORE), "float64")
    texts = dict.fromkeys(("event_id", "inference_id", "variant", *RECORDED), "object")
    return frame.astype({**numbers, **texts})


def _identity(record: dict[str, Any]) -> dict[str, Any]:
    if record.get("eventVersion") != EVENT_VERSION:
        raise ValueError(f"eventVersion {record.get('eventVersion')!r} is not {EVENT_VERSION!r}")
    metadata = record["eventMetadata"]
    return {
        "event_id": str(metadata["eventId"]),
        "inference_id": str(metadata.get("inferenceId") or ""),
        "inference_time": _instant(metadata["inferenceTime"]),
    }


def _rows_of(record: dict[str, Any], signature: Signature) -> list[dict[str, Any]]:
    """One captured exchange holds one row per instance of the request."""
    captured = record["captureData"]
    asked, answered = captured["endpointInput"], captured["endpointOutput"]
    matrix = codec.decode_matrix(_body(asked), asked["observedContentType"], signature)
    scores = codec.decode_response(_body(answered), answered["observedContentType"])
    if len(matrix) != len(scores):
        raise ValueError(f"{len(matrix)} rows asked, {len(scores)} scores answered")
    beside = codec.decode_beside(_body(answered), answered["observedContentType"])
    return [
        {**dict(zip(signature.features, values, strict=True)), SCORE: score, **_recorded(more)}
        for values, score, more in zip(matrix.tolist(), scores, beside, strict=True)
    ]


def _recorded(beside: Mapping[str, Any]) -> dict[str, str]:
    reasons = beside.get("reasons")
    return {
        FINGERPRINT: str(beside.get("fingerprint") or ""),
        POLICY: str(beside.get("policy") or ""),
        # None is "not asked, or the model gives none"; an empty list is "nothing raised the score".
        REASONS: "" if reasons is None else json.dumps(reasons, allow_nan=False),
    }


def _instant(text: str) -> datetime:
    # Here and not over the whole column: one odd time must not cost the other rows.
    instant = datetime.fromisoformat(text)
    instant = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    if instant.year not in PLAUSIBLE_YEARS:
        raise ValueError(f"inferenceTime {text!r} cannot be right")
    return instant


def _body(side: dict[str, Any]) -> bytes:
    data: str = side["data"]
    return base64.b64decode(data, validate=True) if side["encoding"] == "BASE64" else data.encode()
