"""The operations of Application Auto Scaling that an endpoint's variants need, over AWS JSON 1.1."""

import json
import re
from collections.abc import Callable
from functools import partial

from botocore.model import OperationModel

from ml_platform.local_sagemaker.autoscaling.acting import (
    ACTIVITY_KIND,
    POLICY_KIND,
    SCHEDULED_KIND,
    TARGET_KIND,
    instances_of,
    is_asynchronous,
    step,
)
from ml_platform.local_sagemaker.autoscaling.schedules import Schedule, ScheduleError
from ml_platform.local_sagemaker.autoscaling.steps import StepError, require_steps
from ml_platform.local_sagemaker.autoscaling.tracking import track
from ml_platform.local_sagemaker.cloudwatch.monitoring import monitoring_of
from ml_platform.local_sagemaker.protocol import (
    Reply,
    defects_as_errors,
    error_reply,
    parse_request,
    serialise,
    service_model,
)
from ml_platform.local_sagemaker.service import AwsError, Request, Response, Service, validation

TARGET_PREFIX = "AnyScaleFrontendService."
RESOURCE = re.compile(r"endpoint/[^/]+/variant/[^/]+")
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
METRIC = "SageMakerVariantInvocationsPerInstance"


async def recover(service: Service) -> None:
    """Go on scaling what is registered."""
    monitoring_of(service).actions.scale = partial(step, service)
    service.spawn(track(service), "autoscaling")


async def answer(service: Service, target: str, body: bytes) -> Reply:
    """Answer one request. Never raises and never answers 500 for what a caller sent."""
    name = target.removeprefix(TARGET_PREFIX)
    try:
        with defects_as_errors(name, "InternalServiceException"):
            model = _model(name)
            response = OPERATIONS[name](service, parse_request(model, body))
            content = json.dumps(serialise(model.output_shape, response)).encode()
    except AwsError as error:
        return error_reply(error)
    return Reply(200, content, {"content-type": "application/x-amz-json-1.1"})


def register_scalable_target(service: Service, request: Request) -> Response:
    """Register a variant, or change its bounds."""
    resource = _resource(request)
    if instances_of(service, resource) is None:
        raise validation(f"The endpoint or its variant does not exist: {resource}")
    before = service.store.get(TARGET_KIND, resource) or {}
    merged = {**before, **request}
    if "MinCapacity" not in merged or "MaxCapacity" not in merged:
        raise validation("MinCapacity and MaxCapacity are required to register a scalable target.")
    # Only what waits in a queue can wait for an instance.
    least = 0 if is_asynchronous(service, resource) else 1
    if not least <= merged["MinCapacity"] <= merged["MaxCapacity"]:
        raise validation(f"MinCapacity must be at least {least} and at most MaxCapacity.")
    arn = f"arn:aws:application-autoscaling:{service.region}:{service.account}:scalable-target/{resource}"
    role = "aws-service-role/sagemaker.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling"
    created = {"CreationTime": service.clock.timestamp(), "RoleARN": f"arn:aws:iam::{service.account}:role/{role}"}
    merged.pop("Tags", None)
    service.store.put(TARGET_KIND, resource, {**created, **merged, "ScalableTargetARN": arn})
    return {"ScalableTargetARN": arn}


def deregister_scalable_target(service: Service, request: Request) -> Response:
    """Forget a variant and its policies."""
    resource = _resource(request)
    _require_target(service, resource)
    for policy in service.store.list(POLICY_KIND, ResourceId=resource):
        service.store.delete(POLICY_KIND, _policy_key(policy))
    for action in service.store.list(SCHEDULED_KIND, ResourceId=resource):
        service.store.delete(SCHEDULED_KIND, _action_key(action))
    service.store.delete(TARGET_KIND, resource)
    return {}


def describe_scalable_targets(service: Service, request: Request) -> Response:
    """Return the registered variants."""
    wanted = request.get("ResourceIds")
    targets = [each for each in service.store.list(TARGET_KIND) if not wanted or each["ResourceId"] in wanted]
    return {"ScalableTargets": targets}


def put_scaling_policy(service: Service, request: Request) -> Response:
    """Create or overwrite a policy that tracks a metric, or that alarms call."""
    resource = _resource(request)
    _require_target(service, resource)
    kind = request.get("PolicyType", "StepScaling")
    if kind == "StepScaling":
        _require_steps(request)
    elif kind == "TargetTrackingScaling":
        _require_tracking(request)
    else:
        raise _refused("predictive scaling policies")
    key = _policy_key(request)
    arn = (
        f"arn:aws:autoscaling:{service.region}:{service.account}:scalingPolicy:resource/sagemaker/{resource}:"
        f"policyName/{request['PolicyName']}"
    )
    body = {"CreationTime": service.clock.timestamp(), "PolicyType": kind, **request, "PolicyARN": arn, "Alarms": []}
    service.store.put(POLICY_KIND, key, body)
    return {"PolicyARN": arn, "Alarms": []}


def describe_scaling_policies(service: Service, request: Request) -> Response:
    """Return policies."""
    names, resource = request.get("PolicyNames"), request.get("ResourceId")
    policies = [
        each
        for each in service.store.list(POLICY_KIND)
        if (not names or each["PolicyName"] in names) and (resource is None or each["ResourceId"] == resource)
    ]
    return {"ScalingPolicies": policies}


def delete_scaling_policy(service: Service, request: Request) -> Response:
    """Forget a policy."""
    _resource(request)
    if not service.store.delete(POLICY_KIND, _policy_key(request)):
        raise AwsError("ObjectNotFoundException", f"No scaling policy found with name {request['PolicyName']}.")
    return {}


def describe_scaling_activities(service: Service, request: Request) -> Response:
    """Return what was scaled, newest first."""
    resource = request.get("ResourceId")
    activities = [
        each for each in service.store.list(ACTIVITY_KIND) if resource is None or each["ResourceId"] == resource
    ]
    return {"ScalingActivities": activities[::-1][: request.get("MaxResults", 50)]}


def put_scheduled_action(service: Service, request: Request) -> Response:
    """Create a scheduled action, or change one."""
    resource = _resource(request)
    _require_target(service, resource)
    key = _action_key(request)
    before = service.store.get(SCHEDULED_KIND, key) or {}
    created = {"CreationTime": service.clock.timestamp(), "TakenMark": service.clock.mark()}
    merged = {**created, **before, **request}
    if "Schedule" not in merged or not merged.get("ScalableTargetAction"):
        raise validation("Schedule and ScalableTargetAction are required for a new scheduled action.")
    try:
        schedule = Schedule(merged["Schedule"], merged.get("Timezone"))
    except ScheduleError as error:
        raise validation(f"Schedule is not valid: {error}") from error
    if schedule.rate_seconds and "Timezone" in merged:
        raise validation("Timezone is valid for at(...) and cron(...) expressions only.")
    bounds = merged["ScalableTargetAction"]
    if bounds.get("MinCapacity", 0) > bounds.get("MaxCapacity", bounds.get("MinCapacity", 0)):
        raise validation("Maximum capacity cannot be less than minimum capacity.")
    place = f"resource/sagemaker/{resource}:scheduledActionName/{request['ScheduledActionName']}"
    merged["ScheduledActionARN"] = f"arn:aws:autoscaling:{service.region}:{service.account}:scheduledAction:{place}"
    service.store.put(SCHEDULED_KIND, key, merged)
    return {}


def describe_scheduled_actions(service: Service, request: Request) -> Response:
    """Return scheduled actions."""
    names, resource = request.get("ScheduledActionNames"), request.get("ResourceId")
    actions = [
        each
        for each in service.store.list(SCHEDULED_KIND)
        if (not names or each["ScheduledActionName"] in names) and (resource is None or each["ResourceId"] == resource)
    ]
    return {"ScheduledActions": actions}


def delete_scheduled_action(service: Service, request: Request) -> Response:
    """Forget a scheduled action."""
    _resource(request)
    if not service.store.delete(SCHEDULED_KIND, _action_key(request)):
        name = request["ScheduledActionName"]
        raise AwsError("ObjectNotFoundException", f"No scheduled action found with name {name}.")
    return {}


def _require_steps(request: Request) -> None:
    try:
        require_steps(request.get("StepScalingPolicyConfiguration", {}))
    except StepError as error:
        raise validation(f"StepScalingPolicyConfiguration is not valid: {error}") from error


def _require_tracking(request: Request) -> None:
    tracking = request.get("TargetTrackingScalingPolicyConfiguration")
    if tracking is None:
        raise validation("TargetTrackingScalingPolicyConfiguration is required.")
    custom = tracking.get("CustomizedMetricSpecification")
    metric = tracking.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
    if (custom is None) == (metric is None):
        raise validation("Either PredefinedMetricSpecification or CustomizedMetricSpecification is required.")
    if custom is not None and not {"MetricName", "Namespace", "Statistic"} <= custom.keys():
        raise _refused("metric math in CustomizedMetricSpecification")
    if custom is None and metric != METRIC:
        raise _refused(f"predefined metrics but {METRIC}")
    if tracking["TargetValue"] <= 0:
        raise validation("TargetValue must be greater than 0.")


OPERATIONS: dict[str, Callable[[Service, Request], Response]] = {
    "RegisterScalableTarget": register_scalable_target,
    "DeregisterScalableTarget": deregister_scalable_target,
    "DescribeScalableTargets": describe_scalable_targets,
    "PutScalingPolicy": put_scaling_policy,
    "DescribeScalingPolicies": describe_scaling_policies,
    "DeleteScalingPolicy": delete_scaling_policy,
    "DescribeScalingActivities": describe_scaling_activities,
    "PutScheduledAction": put_scheduled_action,
    "DescribeScheduledActions": describe_scheduled_actions,
    "DeleteScheduledAction": delete_scheduled_action,
}


def _model(name: str) -> OperationModel:
    models = service_model("application-autoscaling")
    if name not in OPERATIONS or name not in models.operation_names:
        message = f"The local stand-in does not implement {name} of Application Auto Scaling."
        raise AwsError("UnknownOperationException", message)
    return models.operation_model(name)


def _resource(request: Request) -> str:
    if request["ServiceNamespace"] != "sagemaker" or request["ScalableDimension"] != DIMENSION:
        raise _refused(f"anything but {DIMENSION}")
    resource: str = request["ResourceId"]
    if not RESOURCE.fullmatch(resource):
        raise validation(f"Unsupported service namespace, resource type or scalable dimension: {resource}")
    return resource


def _policy_key(request: Request) -> str:
    return f"{request['ResourceId']}/{request['PolicyName']}"


def _action_key(request: Request) -> str:
    return f"{request['ResourceId']}/{request['ScheduledActionName']}"


def _require_target(service: Service, resource: str) -> None:
    if service.store.get(TARGET_KIND, resource) is None:
        raise AwsError(
            "ObjectNotFoundException",
            f"No scalable target found for service namespace: sagemaker, resource ID: {resource}, scalable dimension: "
            f"{DIMENSION}",
        )


def _refused(feature: str) -> AwsError:
    return validation(f"The local stand-in's Application Auto Scaling does not implement {feature}.")
