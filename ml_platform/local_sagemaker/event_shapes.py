"""What SageMaker tells EventBridge about a change of state, in the shapes it really uses. Pure.

The shapes differ from those of Describe, and from each other: jobs tell times as strings of milliseconds, endpoints
as numbers of them and their status in capitals, model packages in ISO 8601. Delivery is ``events``.
"""

import json
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


def _iso_fraction(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _job(name: str, time: Render, *states: str) -> _Shape:
    title = re.sub(r"(?<!^)(?=[A-Z])", " ", name)
    states = (f"{name}Status", *states)
    return _Shape(f"SageMaker {title} State Change", f"Describe{name}", f"{name}Arn", states, time)


SHAPES = {
    "training-job": _job("TrainingJob", _milliseconds_text, "SecondaryStatus"),
    "transform-job": _job("TransformJob", _iso),
    "processing-job": _job("ProcessingJob", _milliseconds),
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
        ("ModelPackageStatus", "ModelApprovalStatus", "ModelLifeCycle"),
        _iso,
    ),
    "model-card": _Shape(
        "SageMaker Model Card State Change",
        "DescribeModelCard",
        "ModelCardArn",
        ("ModelCardStatus", "ModelCardVersion"),
        _iso_fraction,
    ),
    "model": _Shape("SageMaker Model State Change", "DescribeModel", "ModelArn", ("ModelArn",), _milliseconds_text),
}
UPDATABLE_OF_PACKAGES = (
    "ModelApprovalStatus",
    "ApprovalDescription",
    "SourceUri",
    "CustomerMetadataProperties",
    "InferenceSpecification",
    "ModelLifeCycle",
)
NOT_IN_CARD_EVENTS = ("ModelCardArn", "Content")
DEPLOYMENT = "SageMaker Endpoint Deployment State Change"


def changes(kind: str, before: Body | None, after: Body | None) -> Iterator[Change]:
    """Yield the events that the change of a resource causes; nothing when no state of it changed.

    Args:
        kind: The resource's kind.
        before: The resource as it was; None when it is new.
        after: The resource as it is; None when it was deleted.
    """
    shape = SHAPES.get(kind)
    if shape is None:
        return
    if after is None:
        yield from _deletion(kind, shape, before or {})
        return
    known = before or {}
    if any(known.get(state) != after.get(state) for state in shape.states):
        detail = _detail(kind, shape, after)
        if kind == "model-package" and before is not None:
            detail["UpdatedModelPackageFields"] = [
                member for member in UPDATABLE_OF_PACKAGES if before.get(member) != after.get(member)
            ]
        yield Change(shape.detail_type, after[shape.arn], detail)
    if kind == "endpoint":
        pending = _pending(after)
        if pending is not None and pending != _pending(known):
            detail = _detail(kind, shape, after) | {"PendingDeploymentSummary": pending}
            yield Change(DEPLOYMENT, after[shape.arn], detail)


def _deletion(kind: str, shape: _Shape, body: Body) -> Iterator[Change]:
    """AWS tells the end of models and endpoints; jobs, packages and cards vanish without a word."""
    if kind not in ("model", "endpoint"):
        return
    detail = _detail(kind, shape, body)
    if kind == "endpoint":
        detail["EndpointStatus"] = "DELETED"
    yield Change(shape.detail_type, body[shape.arn], detail)


def _detail(kind: str, shape: _Shape, body: Body) -> Body:
    described = service_model().operation_model(shape.describe).output_shape
    rendered = _render(described, body, shape.time)
    if kind == "model-card":
        return _card_detail(rendered, body)
    detail: Body = {**rendered, "Tags": {}}
    if kind == "endpoint":
        detail["EndpointStatus"] = capitals(body["EndpointStatus"])
        detail["ProductionVariants"] = _variants(body.get("Plan") or {})
    return detail


def _card_detail(rendered: Body, body: Body) -> Body:
    """A card's event tells who and when, and of its content the model's id only."""
    detail = {member: value for member, value in rendered.items() if member not in NOT_IN_CARD_EVENTS}
    overview = json.loads(body["Content"]).get("model_overview", {})
    account = body["ModelCardArn"].split(":")[4]
    named = {"ModelId": overview["model_id"]} if "model_id" in overview else {}
    return {"SecurityConfig": {}, **detail, **named, "AccountId": account}


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
