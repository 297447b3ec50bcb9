"""Reads a managed policy out of a synthesized template."""

import json
from typing import Any

from tests.infra.test_storage import TEMPLATES

Statements = dict[str, dict[str, Any]]


def allowed_by(environment: str) -> dict[str, list[dict[str, Any]]]:
    """Return the statements that allow something, by the policy or role they are in."""
    found: dict[str, list[dict[str, Any]]] = {}
    for template in (TEMPLATES / f"assembly-{environment}").glob("*.template.json"):
        for name, resource in json.loads(template.read_text())["Resources"].items():
            if resource["Type"] in {"AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"}:
                properties = resource["Properties"]
                statements = properties["PolicyDocument"]["Statement"]
                called = properties.get("ManagedPolicyName") or name
                found[called] = [one for one in statements if one["Effect"] == "Allow"]
    return found


def listed(value: str | list[str]) -> list[str]:
    """CloudFormation writes a list of one as the one."""
    return [value] if isinstance(value, str) else value


def policy_of(environment: str, stack: str, role: str) -> Statements:
    """Return a policy's statements by their names."""
    (template,) = (TEMPLATES / f"assembly-{environment}").glob(f"*{stack}*.template.json")
    policies = [
        found["Properties"]
        for found in json.loads(template.read_text())["Resources"].values()
        if found["Type"] == "AWS::IAM::ManagedPolicy"
    ]
    (policy,) = [found for found in policies if found["ManagedPolicyName"] == f"ml-platform-{environment}-{role}"]
    return {statement["Sid"]: statement for statement in policy["PolicyDocument"]["Statement"]}
