"""SageMaker models, endpoint configs and endpoints: create, update, describe, wait, invoke.

What an endpoint config contains, and whether an update did what was asked, is ``deployment``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from ml_platform.aws import clients, failures
from ml_platform.core.clock import Clock, Sleep, in_utc
from ml_platform.core.errors import EndpointError, ServiceUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import (
        CreateEndpointConfigInputTypeDef,
        CreateEndpointInputTypeDef,
        CreateModelInputTypeDef,
        DescribeEndpointOutputTypeDef,
        UpdateEndpointInputTypeDef,
    )
    from mypy_boto3_sagemaker_runtime.type_defs import InvokeEndpointInputTypeDef

IN_SERVICE, FAILED = "InService", "Failed"
_CHANGING = {"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}
# In these states some fleet answers requests, the old one or the new one.
_SERVING = {IN_SERVICE, "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed"}


@dataclass(frozen=True, slots=True)
class EndpointState:
    """What ``DescribeEndpoint`` says. ``config`` is the one that serves, not one that was asked for."""

    name: str
    arn: str
    status: str
    config: str
    created_at: datetime
    changed_at: datetime
    failure_reason: str | None = None

    @property
    def changing(self) -> bool:
        """Whether SageMaker is still working on it."""
        return self.status in _CHANGING

    @property
    def serving(self) -> bool:
        """Whether requests are answered."""
        return self.status in _SERVING


@dataclass(frozen=True, slots=True)
class Invocation:
    """One answer of an endpoint."""

    body: bytes
    content_type: str
    variant: str


def packaged_model_request(name: str, package_arn: str, role_arn: str) -> "CreateModelInputTypeDef":
    """Build the request for a SageMaker model that runs a model package: image and artifact come from there."""
    return {
        "ModelName": name,
        "ExecutionRoleArn": role_arn,
        "Containers": [{"ModelPackageName": package_arn}],
    }


def plain_model_request(name: str, image: str, artifact_uri: str, role_arn: str) -> "CreateModelInputTypeDef":
    """Build the request for a SageMaker model that runs an artifact, whatever the registry says about it."""
    return {
        "ModelName": name,
        "ExecutionRoleArn": role_arn,
        "PrimaryContainer": {"Image": image, "ModelDataUrl": artifact_uri},
    }


def create_model(region: str, request: "CreateModelInputTypeDef") -> None:
    """Create a SageMaker model unless one of this name exists; names are functions of the contents."""
    with failures.translated(f"create model {request['ModelName']}"):
        try:
            clients.sagemaker(region).create_model(**request)
        except ClientError as error:
            if not failures.means_present(error):
                raise


def create_endpoint_config(region: str, request: "CreateEndpointConfigInputTypeDef") -> None:
    """Create an endpoint config unless one of this name exists; names are functions of the contents."""
    with failures.translated(f"create endpoint config {request['EndpointConfigName']}"):
        try:
            clients.sagemaker(region).create_endpoint_config(**request)
        except ClientError as error:
            if not failures.means_present(error):
                raise


def create_endpoint(region: str, request: "CreateEndpointInputTypeDef") -> None:
    """Create an endpoint; ``wait_in_service`` tells how it went."""
    with failures.translated(f"create endpoint {request['EndpointName']}"):
        clients.sagemaker(region).create_endpoint(**request)


def update_endpoint(region: str, request: "UpdateEndpointInputTypeDef") -> None:
    """Start moving an endpoint to another config; ``wait_in_service`` tells how it went."""
    with failures.translated(f"update endpoint {request['EndpointName']}"):
        clients.sagemaker(region).update_endpoint(**request)


def delete_endpoint(region: str, name: str) -> None:
    """Start deleting an endpoint; an absent one is no error."""
    with failures.translated(f"delete endpoint {name}"):
        try:
            clients.sagemaker(region).delete_endpoint(EndpointName=name)
        except ClientError as error:
            if not failures.means_missing(error):
                raise


def describe(region: str, name: str) -> EndpointState | None:
    """Return the state of an endpoint, or None when there is none of this name."""
    with failures.translated(f"describe endpoint {name}"):
        try:
            return _endpoint_state(clients.sagemaker(region).describe_endpoint(EndpointName=name))
        except ClientError as error:
            if failures.means_missing(error):
                return None
            raise


def package_of_config(region: str, config: str) -> str | None:
    """Return the ARN of the model package that an endpoint config serves; None when it serves none."""
    client = clients.sagemaker(region)
    with failures.translated(f"describe endpoint config {config}"):
        try:
            variants = client.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
            model = client.describe_model(ModelName=variants[0].get("ModelName", ""))
        except ClientError as error:
            if failures.means_missing(error):
                return None
            raise
    containers = model.get("Containers") or [model.get("PrimaryContainer", {})]
    return containers[0].get("ModelPackageName")


def wait_until_settled(
    region: str,
    name: str,
    *,
    clock: Clock,
    sleep: Sleep,
    poll_seconds: float,
    deadline_seconds: float = 3600,
    on_progress: Callable[[str], None] = lambda _: None,
) -> EndpointState | None:
    """Wait until SageMaker is done with an endpoint, however that ended; None when it is gone.

    Raises:
        EndpointError: When it is still not done after ``deadline_seconds``.
    """
    deadline = clock() + timedelta(seconds=deadline_seconds)
    seen = ""
    while True:
        state = describe(region, name)
        if state is None or not state.changing:
            return state
        if state.status != seen:
            on_progress(f"endpoint {name} is {state.status}")
            seen = state.status
        if clock() >= deadline:
            raise EndpointError(
                f"Endpoint {name} is still {state.status} after {deadline_seconds:.0f} s. Look at its events and logs "
                "in SageMaker; running the deployment again continues to wait for it."
            )
        sleep(poll_seconds)


def wait_in_service(
    region: str,
    name: str,
    *,
    clock: Clock,
    sleep: Sleep,
    poll_seconds: float,
    deadline_seconds: float = 3600,
    on_progress: Callable[[str], None] = lambda _: None,
) -> EndpointState:
    """Wait until an endpoint is in service and return its state: on which config is the caller's to check.

    Raises:
        EndpointError: When it ended otherwise, with SageMaker's reason, or takes too long.
    """
    state = wait_until_settled(
        region,
        name,
        clock=clock,
        sleep=sleep,
        poll_seconds=poll_seconds,
        deadline_seconds=deadline_seconds,
        on_progress=on_progress,
    )
    if state is None:
        raise EndpointError(f"Endpoint {name} was deleted while we waited for it.")
    if state.status != IN_SERVICE:
        reason = state.failure_reason or "SageMaker gave no reason"
        raise EndpointError(f"Endpoint {name} is {state.status}: {reason}. Deploy again after removing the cause.")
    return state


def invoke(
    region: str,
    endpoint: str,
    body: bytes,
    content_type: str,
    inference_id: str,
    accept: str,
    attributes: str = "",
) -> Invocation:
    """Send one request to an endpoint and return its answer.

    Args:
        region: Where the endpoint is.
        endpoint: Its name.
        body: What the model is to answer.
        content_type: Form of the body.
        inference_id: Kept with the captured exchange.
        accept: Form of the answer.
        attributes: What the container is told beside the body, at most 1,024 visible ASCII characters.

    Raises:
        EndpointError: When there is no such endpoint, or the model refused or failed on the request.
        ServiceUnavailableError: When the endpoint cannot be reached now.
    """
    client = clients.sagemaker_runtime(region)
    told: InvokeEndpointInputTypeDef = {
        "EndpointName": endpoint,
        "Body": body,
        "ContentType": content_type,
        "InferenceId": inference_id,
        "Accept": accept,
    }
    if attributes:
        told["CustomAttributes"] = attributes
    with failures.translated(f"invoke endpoint {endpoint}"):
        try:
            answer = client.invoke_endpoint(**told)
        except ClientError as error:
            raise _invocation_error(endpoint, error) from error
        return Invocation(
            body=answer["Body"].read(),
            content_type=answer.get("ContentType", accept),
            variant=answer.get("InvokedProductionVariant", ""),
        )


def _invocation_error(endpoint: str, error: ClientError) -> Exception:
    code = failures.code(error)
    if code == "ModelError":
        detail = error.response.get("OriginalMessage") or failures.message(error)
        return EndpointError(f"The model behind endpoint {endpoint} refused the request: {detail}")
    if code in {"ModelNotReadyException", "ServiceUnavailable", "InternalFailure", "InternalDependencyException"}:
        return ServiceUnavailableError(f"Endpoint {endpoint} does not answer now: {failures.message(error)}")
    if code in {"ValidationError", "ValidationException"}:
        return EndpointError(
            f"Endpoint {endpoint} cannot be invoked: {failures.message(error)} "
            "`ml-platform status` shows what is live; deploy a model if nothing is."
        )
    return failures.as_ours(error, f"invoke endpoint {endpoint}")


def _endpoint_state(answer: "DescribeEndpointOutputTypeDef") -> EndpointState:
    return EndpointState(
        name=answer["EndpointName"],
        arn=answer["EndpointArn"],
        status=answer["EndpointStatus"],
        config=answer.get("EndpointConfigName", ""),
        created_at=in_utc(answer["CreationTime"]),
        changed_at=in_utc(answer["LastModifiedTime"]),
        failure_reason=answer.get("FailureReason"),
    )
