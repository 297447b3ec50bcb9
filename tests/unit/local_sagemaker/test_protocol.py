"""What callers are told when an operation of the stand-in is broken."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import ml_platform.local_sagemaker.operations  # noqa: F401 - it registers them
from ml_platform.local_sagemaker import protocol, runtime
from ml_platform.local_sagemaker.autoscaling import operations as autoscaling
from ml_platform.local_sagemaker.cloudwatch import wire
from ml_platform.local_sagemaker.service import AwsError

# Whatever an operation does with this service is a defect.
BROKEN: Any = object()
SCALING_PLACE = b'{"ServiceNamespace": "sagemaker"}'


@pytest.mark.parametrize(
    ("ask", "status", "code"),
    [
        (lambda: protocol.answer(BROKEN, "SageMaker.ListModels", b"{}"), 400, "InternalFailure"),
        (lambda: wire.answer(BROKEN, "DescribeAlarms", wire.JSON, {}, b"{}"), 400, "InternalFailure"),
        (
            lambda: autoscaling.answer(BROKEN, "AnyScaleFrontendService.DescribeScalableTargets", SCALING_PLACE),
            400,
            "InternalServiceException",
        ),
        (lambda: runtime.invoke(BROKEN, "POST", "/endpoints/e/invocations", {}, b""), 500, "InternalFailure"),
    ],
    ids=["sagemaker", "cloudwatch", "autoscaling", "runtime"],
)
def test_a_defect_is_logged_and_told_in_the_words_of_the_service(
    ask: Callable[[], Coroutine[Any, Any, protocol.Reply]], status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    reply = asyncio.run(ask())
    names = {name.lower(): value for name, value in reply.headers.items()}
    assert (reply.status, names["x-amzn-errortype"]) == (status, code)
    said = {name.lower(): value for name, value in json.loads(reply.body).items()}["message"]
    assert said.endswith("failed inside the local stand-in; its log has the traceback.")
    assert "AttributeError" in caplog.text


def test_an_error_that_callers_are_meant_to_get_is_no_defect(caplog: pytest.LogCaptureFixture) -> None:
    meant = AwsError("ResourceNotFound", "no such model")
    with pytest.raises(AwsError) as told, protocol.defects_as_errors("DescribeModel"):
        raise meant
    assert told.value is meant
    assert not caplog.records
