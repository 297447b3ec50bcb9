"""The storage stack, judged on the JSON that would be deployed. ``make synth`` writes it; ``make test`` calls that."""

import json
from pathlib import Path
from typing import Any

import pytest

TEMPLATES = Path(__file__).parents[2] / "infra" / "cdk.out"


def storage_template(environment: str) -> dict[str, Any]:
    found = list((TEMPLATES / f"assembly-{environment}").glob("*storage*.template.json"))
    assert found, f"no template under {TEMPLATES}: run `make synth`"
    return json.loads(found[0].read_text())


def resources(environment: str, kind: str) -> list[dict[str, Any]]:
    template = storage_template(environment)
    return [resource for resource in template["Resources"].values() if resource["Type"] == kind]


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_every_bucket_is_encrypted_private_and_kept(environment: str) -> None:
    buckets = resources(environment, "AWS::S3::Bucket")
    assert len(buckets) == 2
    for bucket in buckets:
        properties = bucket["Properties"]
        assert properties["BucketEncryption"]
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["DeletionPolicy"] == "Retain"


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_every_bucket_refuses_plain_http(environment: str) -> None:
    policies = resources(environment, "AWS::S3::BucketPolicy")
    assert len(policies) == 2
    for policy in policies:
        denials = [s for s in policy["Properties"]["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in [denial.get("Condition") for denial in denials]


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_nobody_at_all_may_replace_or_delete_an_audit_record(environment: str) -> None:
    statements = {
        statement["Sid"]: statement
        for policy in resources(environment, "AWS::S3::BucketPolicy")
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if "Sid" in statement
    }
    for name, actions, condition in (
        ("NeverReplaceARecord", "s3:PutObject", {"Null": {"s3:if-none-match": "true"}}),
        ("NeverDeleteARecord", ["s3:DeleteObject", "s3:DeleteObjectVersion"], None),
    ):
        found = statements[name]
        assert (found["Effect"], found["Principal"]) == ("Deny", {"AWS": "*"})
        assert (found["Action"], found.get("Condition")) == (actions, condition)
        assert "/audit/*" in json.dumps(found["Resource"])


@pytest.mark.parametrize(("environment", "days"), [("dev", 90), ("prod", 400)])
def test_captured_requests_expire(environment: str, days: int) -> None:
    (data,) = [b for b in resources(environment, "AWS::S3::Bucket") if "VersioningConfiguration" in b["Properties"]]
    rules = {rule["Id"]: rule for rule in data["Properties"]["LifecycleConfiguration"]["Rules"] if "Id" in rule}
    assert rules["captured-requests"]["Prefix"] == "capture/"
    assert rules["captured-requests"]["ExpirationInDays"] == days


def test_synthesis_needs_no_look_up_in_an_account() -> None:
    """With look-ups missing, plain ``python`` still exits 0 but a deployment without credentials stops."""
    assert not json.loads((TEMPLATES / "manifest.json").read_text()).get("missing")
