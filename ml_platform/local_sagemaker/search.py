"""Search over everything the stand-in keeps. How an expression is read is ``search_filters``.

Unlike on AWS, a change can be found at once.
"""

from typing import Any

from ml_platform.local_sagemaker.paging import page_of
from ml_platform.local_sagemaker.protocol import service_model
from ml_platform.local_sagemaker.search_filters import Record, check, find_property, satisfies, sort_key
from ml_platform.local_sagemaker.service import (
    OPERATIONS,
    Request,
    Response,
    Service,
    operation,
    unsupported,
)
from ml_platform.local_sagemaker.tags import tags_of

KINDS = {
    "Endpoint": "endpoint",
    "HyperParameterTuningJob": "hyper-parameter-tuning-job",
    "Model": "model",
    "ModelCard": "model-card",
    "ModelPackage": "model-package",
    "ModelPackageGroup": "model-package-group",
    "Pipeline": "pipeline",
    "TrainingJob": "training-job",
}
# What the store does not hold as it is described.
DESCRIBED = ("Endpoint",)
DEFAULT_PAGE = 10


@operation("Search")
async def search(service: Service, request: Request) -> Response:
    """Return a page of the records that satisfy an expression, in the order that is asked for."""
    resource = request["Resource"]
    if resource not in KINDS:
        raise unsupported(f"search for {resource}")
    if request.get("VisibilityConditions"):
        raise unsupported("VisibilityConditions of Search")
    record_shape: Any = service_model().shape_for("SearchRecord")
    shape = record_shape.members[resource]
    shape = shape.members["Model"] if resource == "Model" else shape
    by = find_property(shape, request.get("SortBy") or _default_order(shape))
    expression = request.get("SearchExpression")
    if expression is not None:
        check(expression)
        satisfies({}, expression, shape)
    # Resources of other accounts cannot be here.
    own = request.get("CrossAccountFilterOption") != "CrossAccount"
    records = [await _record(service, resource, body) for body in service.store.list(KINDS[resource])] if own else []
    found = [record for record in records if expression is None or satisfies(record, expression, shape)]
    found.sort(key=lambda record: sort_key(record, by), reverse=request.get("SortOrder", "Descending") == "Descending")
    shown, token = page_of(found, request, DEFAULT_PAGE)
    return {
        "Results": [{resource: _result(service, resource, record)} for record in shown],
        "NextToken": token,
        "TotalHits": {"Value": len(found), "Relation": "EqualTo"},
    }


def _default_order(shape: Any) -> str:
    return "LastModifiedTime" if "LastModifiedTime" in shape.members else "CreationTime"


async def _record(service: Service, resource: str, body: Record) -> Record:
    if resource in DESCRIBED:
        name = f"{resource}Name"
        body = await OPERATIONS[f"Describe{resource}"](service, {name: body[name]}) or body
    return {**body, "Tags": tags_of(service, body[f"{resource}Arn"])}


def _result(service: Service, resource: str, record: Record) -> Record:
    if resource != "Model":
        return record
    configs = [
        config["EndpointConfigName"]
        for config in service.store.list("endpoint-config")
        if any(variant.get("ModelName") == record["ModelName"] for variant in config["ProductionVariants"])
    ]
    endpoints = [body for body in service.store.list("endpoint") if body["EndpointConfigName"] in configs]
    return {"Model": record, "Endpoints": endpoints}
