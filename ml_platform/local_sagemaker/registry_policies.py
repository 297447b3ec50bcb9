"""Resource policies of model package groups: who else may use them. Kept and told; nobody is kept out here."""

import json
from typing import Any

from ml_platform.local_sagemaker.registry import KIND, require_group
from ml_platform.local_sagemaker.service import Request, Response, Service, not_found, operation, validation

POLICY = "_Policy"


@operation("PutModelPackageGroupPolicy")
async def put_model_package_group_policy(service: Service, request: Request) -> Response:
    """Set a group's policy in place of the one it has."""
    group = require_group(service, request["ModelPackageGroupName"])
    _check(request["ResourcePolicy"])
    _store(service, group, request["ResourcePolicy"])
    return {"ModelPackageGroupArn": group["ModelPackageGroupArn"]}


@operation("GetModelPackageGroupPolicy")
async def get_model_package_group_policy(service: Service, request: Request) -> Response:
    """Return a group's policy."""
    return {"ResourcePolicy": _require_policy(service, request)[POLICY]}


@operation("DeleteModelPackageGroupPolicy")
async def delete_model_package_group_policy(service: Service, request: Request) -> Response:
    """Forget a group's policy."""
    _store(service, _require_policy(service, request), None)
    return {}


def _require_policy(service: Service, request: Request) -> dict[str, Any]:
    group = require_group(service, request["ModelPackageGroupName"])
    if POLICY not in group:
        raise not_found(f"Cannot find resource policy for: {group['ModelPackageGroupArn']}")
    return group


def _store(service: Service, group: dict[str, Any], policy: str | None) -> None:
    service.store.update(KIND, group["ModelPackageGroupName"], **{POLICY: policy})


def _check(text: str) -> None:
    """Refuse what is no policy document; whom it lets in is not looked at."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise validation(f"Invalid resource policy: it is not JSON: {error}") from error
    statements = document.get("Statement") if isinstance(document, dict) else None
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements or not all(map(_is_statement, statements)):
        raise validation(
            "Invalid resource policy: it needs a Statement, each with Effect, Principal, Action and Resource."
        )


def _is_statement(statement: Any) -> bool:
    if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
        return False
    return all(f"Not{member}" in statement or member in statement for member in ("Principal", "Action", "Resource"))
