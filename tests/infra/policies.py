"""Reads a managed policy out of a synthesized template."""

import json
from typing import Any

from tests.infra.test_storage import TEMPLATES

Statements = dict[str, dict[str, Any]]


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
