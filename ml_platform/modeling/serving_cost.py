"""What a model costs to serve, as measured in the serving container before anybody depends on it.

The container measures (``containers.serving.measure``), the promotion gate judges.
"""

from pydantic import BaseModel, ConfigDict, Field

RESULT_FILE = "serving_cost.json"
MODEL_INPUT, RESULT_OUTPUT = "model", "output"
"""Folders below ``processing/``: where the job finds ``model.tar.gz``, and where it leaves the result."""


class ServingCost(BaseModel):
    """Latencies of single-row requests over HTTP, one after the other, in the serving container."""

    model_config = ConfigDict(frozen=True)

    artifact_fingerprint: str
    requests: int = Field(gt=0)
    p50_latency_ms: float = Field(ge=0)
    p95_latency_ms: float = Field(ge=0)
    p99_latency_ms: float = Field(ge=0)
    ready_seconds: float = Field(ge=0, description="From the start of the load to the first answer to a ping.")
    artifact_bytes: int = Field(gt=0, description="Size of model.tar.gz.")
