"""After a deployment: does the endpoint give the scores the offline pipeline gives?"""

from collections.abc import Mapping, Sequence

from ml_platform.aws import endpoints
from ml_platform.core.errors import EndpointError, ServiceUnavailableError
from ml_platform.core.settings import Settings
from ml_platform.core.verdict import Verdict
from ml_platform.modeling.codec import RequestError, decode_response, encode_instances
from ml_platform.modeling.contract import JSON

# Data capture records the smoke test too; no transaction has this id, so it joins to no label.
INFERENCE_ID = "smoke-test"


def smoke_test(
    settings: Settings,
    endpoint: str,
    rows: Sequence[Mapping[str, float | None]],
    expected: Sequence[float],
    tolerance: float = 1e-9,
) -> Verdict:
    """Score rows through the endpoint and list every score that is not the expected one.

    Args:
        settings: The region.
        endpoint: Name of the endpoint.
        rows: Features by name.
        expected: Scores of the offline pipeline for the same rows.
        tolerance: Largest absolute difference that passes.
    """
    try:
        answer = endpoints.invoke(settings.region, endpoint, encode_instances(rows), JSON, INFERENCE_ID, JSON)
        scores = decode_response(answer.body, answer.content_type)
    except (EndpointError, ServiceUnavailableError, RequestError) as error:
        return Verdict((str(error),))
    return compare(scores, expected, tolerance)


def compare(scores: Sequence[float], expected: Sequence[float], tolerance: float) -> Verdict:
    """Return a reason for each score that is missing, superfluous or off."""
    if len(scores) != len(expected):
        return Verdict((f"{len(scores)} scores for {len(expected)} rows",))
    return Verdict.of(
        f"row {row}: endpoint says {score!r}, offline pipeline says {wanted!r}"
        for row, (score, wanted) in enumerate(zip(scores, expected, strict=True))
        # Written so that a NaN fails.
        if not abs(score - wanted) <= tolerance
    )
