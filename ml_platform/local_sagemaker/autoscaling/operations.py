"""The operations of Application Auto Scaling that an endpoint's variants need, over AWS JSON 1.1."""

import json
import logging
import re
from collections.abc import Callable

from botocore.model import OperationModel

from ml_platform.local_sagemaker.autoscaling.tracking import (
    ACTIVITY_KIND,
    POLICY_KIND,
    TARGET_KIND,
    instances_of,
    track,
)
from ml_platform.local_sagemaker.protocol import Reply, error_reply, parse_request, serialise, service_model
from ml_platform.local_sagemaker.service import AwsError, Request, Response, Service, validation

logger = logging.getLogger(__name__)

TARGET_PREFIX = "AnyScaleFrontendService."
RESOURCE = re.compile(r"endpoint/[^/]+/variant/[^/]+")
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
METRIC = "SageMakerVariantInvocationsPerInstance"


async def recover(service: Service) -> None:
    """Go on scaling what is registered."""
    service.spawn(track(service), "autoscaling")


async def answer(service: Service, target: str, body: bytes) -> Reply:
    """Answer one request. Never raises and never answers 500 for what a caller sent."""
    name = target.removeprefix(TARGET_PREFIX)
    try:
        model = _model(name)
        response = OPERATIONS[name](service, parse_request(model, body))
        content = json.dumps(serialise(model.output_shape, response)).encode()
    except AwsError as error:
        return error_reply(error)
    except Exception:
        logger.exception("%s failed inside the stand-in", name)
        message = f"{name} failed inside the local stand-in; its log has the traceback."
        return error_reply(AwsError("InternalServiceException", message))
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
    if not 1 <= merged["MinCapacity"] <= merged["MaxCapacity"]:
        raise validation("MinCapacity must be at least 1 and at most MaxCapacity.")
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
    service.store.delete(TARGET_KIND, resource)
    return {}


def describe_scalable_targets(service: Service, request: Request) -> Response:
    """Return the registered variants."""
    wanted = request.get("ResourceIds")
    targets = [each for each in service.store.list(TARGET_KIND) if not wanted or each["ResourceId"] in wanted]
    return {"ScalableTargets": targets}


def put_scaling_policy(service: Service, request: Request) -> Response:
    """Create or overwrite a policy that tracks invocations per instance."""
    resource = _resource(request)
    _require_target(service, resource)
    if request.get("PolicyType", "StepScaling") != "TargetTrackingScaling":
        raise _refused("policies other than TargetTrackingScaling")
    tracking = request.get("TargetTrackingScalingPolicyConfiguration")
    if tracking is None:
        raise validation("TargetTrackingScalingPolicyConfiguration is required.")
    metric = tracking.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
    if metric != METRIC:
        raise _refused(f"tracking anything but {METRIC}")
    if tracking["TargetValue"] <= 0:
        raise validation("TargetValue must be greater than 0.")
    key = _policy_key(request)
    arn = (
        f"arn:aws:autoscaling:{service.region}:{service.account}:scalingPolicy:resource/sagemaker/{resource}:"
        f"policyName/{request['PolicyName']}"
    )
    body = {"CreationTime": service.clock.timestamp(), **request, "PolicyARN": arn, "Alarms": []}
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


OPERATIONS: dict[str, Callable[[Service, Request], Response]] = {
    "RegisterScalableTarget": register_scalable_target,
    "DeregisterScalableTarget": deregister_scalable_target,
    "DescribeScalableTargets": describe_scalable_targets,
    "PutScalingPolicy": put_scaling_policy,
    "DescribeScalingPolicies": describe_scaling_policies,
    "DeleteScalingPolicy": delete_scaling_policy,
    "DescribeScalingActivities": describe_scaling_activities,
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


def _require_target(service: Service, resource: str) -> None:
    if service.store.get(TARGET_KIND, resource) is None:
        raise AwsError(
            "ObjectNotFoundException",
            f"No scalable target found for service namespace: sagemaker, resource ID: {resource}, scalable dimension: "
            f"{DIMENSION}",
        )


def _refused(feature: str) -> AwsError:
    return validation(f"The local stand-in's Application Auto Scaling does not implement {feature}.")
