"""The skew proof: captured requests, replayed through the offline store, compared, explained, judged and kept."""

import io
from datetime import datetime
from typing import TYPE_CHECKING

from ml_platform.core import names

if TYPE_CHECKING:
    import polars as pl

    from ml_platform.features.skew.replay import Replay
    from ml_platform.monitoring.skew import SkewPolicy, SkewReport

CONTEXT = ("transaction_id", "inference_time", "event_time", "customer_id", "terminal_id")
"""What a person needs of a request to look into it."""


def prove_skew(
    replay: "Replay",
    captured: "pl.DataFrame",
    policy: "SkewPolicy",
    *,
    model: str,
    package_arn: str,
    judged_at: datetime,
) -> "SkewReport":
    """Compare captured requests with the offline store, name why they differ, and keep the differing values in S3.

    Args:
        replay: The offline store, for the model that served.
        captured: ``transaction_id``, ``inference_time`` and the features as served; one row per request.
        policy: The limits.
        model: Name of the model.
        package_arn: The package that was served.
        judged_at: Instant of the judgement.
    """
    from ml_platform.monitoring.skew import differing_rows, explain, judge_skew

    landed = replay.landed(captured)
    offline = replay.offline(landed) if landed.height else landed
    differs = differing_rows(landed, offline, replay.features)
    # What differs is asked about again, as each cause would have it; what does not, which is nearly all, is not.
    asked = landed.filter(differs)
    differences = explain(
        asked,
        offline.filter(differs),
        replay.would_have_been(asked) if asked.height else (),
        replay.views(),
        replay.rewritten(asked) if asked.height else {},
    )
    rows = differences.join(asked.select(CONTEXT), on="transaction_id", how="left", maintain_order="left")
    buffer = io.BytesIO()
    rows.write_parquet(buffer, compression="zstd")
    key = f"{names.model_prefix(model, 'skew')}{judged_at:%Y-%m-%dT%H-%M-%S}.parquet"
    rows_uri = replay.store.put(key, buffer.getvalue())
    report = judge_skew(
        differences,
        policy,
        model=model,
        package_arn=package_arn,
        judged_at=judged_at,
        captured=captured.height,
        compared=landed.height,
        features=len(replay.features),
    )
    return report.model_copy(update={"rows_uri": rows_uri})
