"""What a run shows of a job: a figure that is not known is left out, never shown as zero."""

from typing import Any

import pytest

from ml_platform.aws.job_kinds import KINDS, KindName
from ml_platform.aws.job_lifecycle import Job
from ml_platform.resources.pipes.report import console_url, job_metadata
from ml_platform.resources.sagemaker_prices import INDICATIVE_PRICES

REGION = INDICATIVE_PRICES.region


def a_job(**overrides: Any) -> Job:
    fields = {
        "name": "shop-model-0123",
        "arn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/shop-model-0123",
        "status": "Completed",
        "phase": "Completed",
        "instance_type": "ml.m5.large",
        "instance_count": 2,
        "billable_seconds": 1800,
    }
    return Job(**{**fields, **overrides})


def shown(job: Job, region: str = REGION) -> dict[str, Any]:
    return job_metadata(KINDS["training"], region, job, adopted=False)


def test_a_cost_is_instances_times_time_times_price_and_names_its_source() -> None:
    metadata = shown(a_job())
    assert metadata["estimated_cost_usd"] == pytest.approx(0.115)
    assert metadata["price_source"] == INDICATIVE_PRICES.source


@pytest.mark.parametrize(
    ("job", "region"),
    [
        (a_job(instance_type="ml.unheard-of.large"), REGION),
        (a_job(billable_seconds=0), REGION),
        (a_job(), "eu-central-1"),
    ],
)
def test_without_price_or_time_there_is_no_estimate(job: Job, region: str) -> None:
    assert not {"estimated_cost_usd", "price_source"} & shown(job, region).keys()


def test_interruptions_and_reasons_are_shown_when_there_are_any() -> None:
    assert not {"spot_interruptions", "failure_reason"} & shown(a_job()).keys()
    metadata = shown(a_job(interruptions=2, failure_reason="AlgorithmError: x"))
    assert (metadata["spot_interruptions"], metadata["failure_reason"]) == (2, "AlgorithmError: x")


@pytest.mark.parametrize(
    ("kind", "arn", "host", "path"),
    [
        ("training", "arn:aws:x", "us-east-1.console.aws.amazon.com", "jobs"),
        ("processing", "arn:aws:x", "us-east-1.console.aws.amazon.com", "processing-jobs"),
        ("transform", "arn:aws-cn:x", "console.amazonaws.cn", "transform-jobs"),
    ],
)
def test_the_link_leads_to_the_jobs_page(kind: KindName, arn: str, host: str, path: str) -> None:
    url = console_url(KINDS[kind], REGION, a_job(arn=arn))
    assert url == f"https://{host}/sagemaker/home?region=us-east-1#/{path}/shop-model-0123"
