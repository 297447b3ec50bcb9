"""Every call that our code makes to AWS is allowed by some policy, and nothing is allowed that no code calls."""

import ast
import json
import re
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

import ml_platform
from tests.infra.policies import allowed_by, listed, policy_of

PACKAGE = Path(ml_platform.__file__).parent
SERVICES = {
    "s3": "s3",
    "sagemaker": "sagemaker",
    "sagemaker_runtime": "sagemaker-runtime",
    "logs": "logs",
    "cloudwatch": "cloudwatch",
    "dynamodb": "dynamodb",
    "kinesis": "kinesis",
    "secrets": "secretsmanager",
    "sts": "sts",
}
"""Our factory of a client, and botocore's name of the service."""
PREFIXES = {"sagemaker-runtime": "sagemaker"}
ACTIONS = {
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:DownloadFile": "s3:GetObject",
    "s3:UploadFile": "s3:PutObject",
    "dynamodb:TableExists": "dynamodb:DescribeTable",
    "dynamodb:TableNotExists": "dynamodb:DescribeTable",
}
"""Calls that IAM knows by another name, and boto3's own transfers and waiters."""
NEEDS_NO_POLICY = {
    "sts:GetCallerIdentity": "AWS answers it whatever the policies say",
    "s3:CreateBucket": "only where the bucket is not there: in AWS it is made by the storage stack",
}
BESIDE_CALLS = {
    "sagemaker:AddTags": "asked for when a thing is made with tags",
    "cloudwatch:TagResource": "likewise",
    "iam:PassRole": "asked for when SageMaker is lent the role",
    "kms:Decrypt": "by S3, for objects under the bucket's key",
    "kms:GenerateDataKey": "likewise",
}
ON_EVERYTHING = {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"}
"""Actions that know no resource."""
ROLE_OF_JOBS = re.compile(r"JobsDefaultPolicy")
"""Used by SageMaker, not called by code of ours."""


def calls() -> set[str]:
    """Return the IAM actions behind each call on a client, read from the source of whoever has one."""
    session, found = botocore.session.get_session(), set()
    operations = {
        ours: {xform_name(name): name for name in session.get_service_model(service).operation_names}
        for ours, service in SERVICES.items()
    }
    transfers = {"upload_file": "UploadFile", "download_file": "DownloadFile"}
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text()
        clients = set(re.findall(r"clients\.(\w+)\(", source)) & set(SERVICES)
        if not clients or path.relative_to(PACKAGE).parts[0] in {"local_sagemaker", "testing"}:
            continue
        tree = ast.parse(source)
        called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        called |= {
            str(node.args[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"get_paginator", "get_waiter"}
            and isinstance(node.args[0], ast.Constant)
        }
        for client in clients:
            prefix = PREFIXES.get(SERVICES[client], SERVICES[client])
            known = operations[client] | (transfers if client == "s3" else {})
            waits = (
                {"table_exists": "TableExists", "table_not_exists": "TableNotExists"} if client == "dynamodb" else {}
            )
            known |= waits
            actions = {f"{prefix}:{known[name]}" for name in called & set(known)}
            found |= {ACTIONS.get(action, action) for action in actions}
    return found


def granted(environment: str) -> dict[str, set[str]]:
    """Return the allowed actions by policy, without what the role of jobs may do."""
    return {
        name: {action for one in statements for action in listed(one["Action"])}
        for name, statements in allowed_by(environment).items()
        if not ROLE_OF_JOBS.search(name)
    }


def test_the_calls_are_found() -> None:
    """Should a client be made in another way, the tests below would say nothing."""
    assert {
        "sagemaker:UpdateEndpoint",
        "sagemaker:DescribeEndpointConfig",
        "sagemaker:InvokeEndpoint",
        "sagemaker:ListModelPackages",
        "cloudwatch:PutMetricAlarm",
        "logs:GetLogEvents",
        "dynamodb:DescribeTable",
        "kinesis:GetRecords",
        "s3:PutObject",
    } <= calls()


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_every_call_is_allowed_by_a_policy(environment: str) -> None:
    allowed = set().union(*granted(environment).values())
    assert calls() - allowed - set(NEEDS_NO_POLICY) == set()


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_nothing_is_allowed_that_no_code_calls(environment: str) -> None:
    unused = {name: actions - calls() - set(BESIDE_CALLS) for name, actions in granted(environment).items()}
    assert {name: actions for name, actions in unused.items() if actions} == {}


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_no_policy_has_a_wildcard_in_its_actions_or_allows_on_everything_what_has_an_address(environment: str) -> None:
    for name, statements in allowed_by(environment).items():
        for one in statements:
            actions = listed(one["Action"])
            assert not [action for action in actions if "*" in action], name
            if "*" in listed(one["Resource"]):
                assert set(actions) <= ON_EVERYTHING, name


def test_deploying_watches_the_alarms_of_rollouts_and_no_others() -> None:
    watching = policy_of("prod", "endpoints", "deployer")["WatchRollouts"]
    assert [json.dumps(resource).split(":")[-1] for resource in watching["Resource"]] == [
        '*-Invocation5XXErrors"]]}',
        '*-ModelLatency"]]}',
    ]


def test_a_rollback_may_reject_and_not_approve() -> None:
    rejecting = policy_of("prod", "endpoints", "deployer")["RejectWhatIsRolledBack"]
    assert rejecting["Condition"]["StringEquals"]["sagemaker:ModelApprovalStatus"] == "Rejected"


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_jobs_see_neither_tables_nor_the_audit_trail(environment: str) -> None:
    (statements,) = [found for name, found in allowed_by(environment).items() if ROLE_OF_JOBS.search(name)]
    reached = json.dumps([one["Resource"] for one in statements if any("s3:" in a for a in listed(one["Action"]))])
    assert "/models/*" in reached
    assert "audit" not in reached
    assert "tables" not in reached
