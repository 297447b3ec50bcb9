"""What SageMaker tells EventBridge about a change of state, in the shapes it really uses. Pure.

The shapes differ from those of Describe, and from each other: jobs tell times as strings of milliseconds, endpoints
as numbers of them and their status in capitals, model packages in ISO 8601. Delivery is ``events``.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ml_platform.local_sagemaker.protocol import service_model

Body = dict[str, Any]
Render = Callable[[float], Any]


@dataclass(frozen=True)
class Change:
    """One event: what EventBridge wraps into its envelope."""

    detail_type: str
    arn: str
    detail: Body


@dataclass(frozen=True)
class _Shape:
    detail_type: str
    describe: str
    """The operation whose members the detail has."""
    arn: str
    states: tuple[str, ...]
    """An event is due when one of these members changed."""
    time: Render


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _milliseconds_text(seconds: float) -> str:
    return str(_milliseconds(seconds))


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _job(name: str, *states: str) -> _Shape:
    title = re.sub(r"(?<!^)(?=[A-Z])", " ", name)
    states = (f"{name}Status", *states)
    return _Shape(f"SageMaker {title} State Change", f"Describe{name}", f"{name}Arn", states, _milliseconds_text)


SHAPES = {
    "training-job": _job("TrainingJob", "SecondaryStatus"),
    "transform-job": _job("TransformJob"),
    "processing-job": _job("ProcessingJob"),
    "hyper-parameter-tuning-job": _Shape(
        "SageMaker HyperParameter Tuning Job State Change",
        "DescribeHyperParameterTuningJob",
        "HyperParameterTuningJobArn",
        ("HyperParameterTuningJobStatus",),
        _milliseconds_text,
    ),
    "endpoint": _Shape(
        "SageMaker Endpoint State Change", "DescribeEndpoint", "EndpointArn", ("EndpointStatus",), _milliseconds
    ),
    "model-package": _Shape(
        "SageMaker Model Package State Change",
        "DescribeModelPackage",
        "ModelPackageArn",
        ("ModelPackageStatus", "ModelApprovalStatus"),
        _iso,
    ),
}
DEPLOYMENT = "SageMaker Endpoint Deployment State Change"


def changes(kind: str, before: Body | None, after: Body) -> Iterator[Change]:
    """Yield the events that the change of a resource causes; nothing when no state of it changed."""
    shape = SHAPES.get(kind)
    if shape is None:
        return
    known = before or {}
    if any(known.get(state) != after.get(state) for state in shape.states):
        yield Change(shape.detail_type, after[shape.arn], _detail(kind, shape, after))
    if kind == "endpoint":
        pending = _pending(after)
        if pending is not None and pending != _pending(known):
            detail = _detail(kind, shape, after) | {"PendingDeploymentSummary": pending}
            yield Change(DEPLOYMENT, after[shape.arn], detail)


def _detail(kind: str, shape: _Shape, body: Body) -> Body:
    described = service_model().operation_model(shape.describe).output_shape
    detail: Body = {**_render(described, body, shape.time), "Tags": {}}
    if kind == "endpoint":
        detail["EndpointStatus"] = capitals(body["EndpointStatus"])
        detail["ProductionVariants"] = _variants(body.get("Plan") or {})
    return detail


def capitals(status: str) -> str:
    """``InService`` -> ``IN_SERVICE``: how endpoint events tell a status."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", status).upper()


def _variants(plan: Body) -> list[Body]:
    return [
        {
            "VariantName": variant["name"],
            "CurrentWeight": variant["weight"],
            "DesiredWeight": variant["weight"],
            "CurrentInstanceCount": variant["instances"],
            "DesiredInstanceCount": variant["instances"],
        }
        for variant in plan.get("variants", [])
    ]


def _pending(body: Body) -> Body | None:
    pending = body.get("Pending")
    if not pending:
        return None
    entered_at = pending.get("StageStartTime", pending["StartTime"])
    status = {"Status": pending.get("Stage", "Creating"), "StartTime": _milliseconds(entered_at)}
    variants = [
        {
            "VariantName": variant["name"],
            "DesiredWeight": variant["weight"],
            "DesiredInstanceCount": variant["instances"],
            "VariantStatus": [status],
        }
        for variant in pending["Plan"].get("variants", [])
    ]
    return {
        "EndpointConfigName": pending["Plan"].get("config"),
        "StartTime": _milliseconds(pending["StartTime"]),
        "ProductionVariants": variants,
    }


def _render(shape: Any, value: Any, time: Render) -> Any:
    """Return only what the model knows of a value, with its times as the event tells them."""
    if shape.type_name == "structure":
        members = ((name, member, value.get(name)) for name, member in shape.members.items())
        return {name: _render(member, each, time) for name, member, each in members if each is not None}
    if shape.type_name == "list":
        return [_render(shape.member, each, time) for each in value]
    if shape.type_name == "map":
        return dict(value)
    if shape.type_name == "timestamp" and isinstance(value, int | float):
        return time(value)
    return value
