"""What a run shows of a SageMaker job: where to look, how it ended, what it cost. Pure."""

from typing import Any

import dagster as dg

from ml_platform.aws.job_kinds import JobKind
from ml_platform.aws.job_lifecycle import Job
from ml_platform.resources.sagemaker_prices import INDICATIVE_PRICES, PriceTable

_CONSOLES = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}


def console_url(kind: JobKind, region: str, job: Job) -> str:
    """Return the address of the job's page in the AWS console."""
    partition = job.arn.split(":")[1] if job.arn.count(":") > 1 else "aws"
    host = _CONSOLES.get(partition, f"{region}.console.aws.amazon.com")
    return f"https://{host}/sagemaker/home?region={region}#/{kind.console_path}/{job.name}"


def job_metadata(
    kind: JobKind, region: str, job: Job, *, adopted: bool, prices: PriceTable = INDICATIVE_PRICES
) -> dict[str, Any]:
    """Return what people look at; a figure that is not known is left out.

    Args:
        kind: Kind of the job.
        region: Its region.
        job: As last described.
        adopted: Whether another run started it, and shows the same seconds and cost.
        prices: On-demand prices.
    """
    cost = prices.estimate(region, job.instance_type, job.instance_count, job.billable_seconds)
    optional = {
        "billable_seconds": job.billable_seconds or None,
        "estimated_cost_usd": round(cost, 6) if cost else None,
        "price_source": prices.told_source if cost else None,
        "spot_interruptions": job.interruptions or None,
        "failure_reason": job.failure_reason,
    }
    return {
        f"{kind.name}_job": job.name,
        "console": dg.MetadataValue.url(console_url(kind, region, job)),
        "job_status": job.status,
        "phase": job.phase,
        "adopted": adopted,
        "instance_type": job.instance_type,
        "instance_count": job.instance_count,
        **{name: value for name, value in optional.items() if value is not None},
    }
