"""Event patterns match as EventBridge documents it."""

from typing import Any

import pytest

from ml_platform.local_sagemaker.event_patterns import PatternError, matches

EVENT = {
    "source": "aws.sagemaker",
    "detail-type": "SageMaker Endpoint State Change",
    "resources": ["arn:aws:sagemaker:us-east-1:000000000000:endpoint/fraud"],
    "detail": {
        "EndpointStatus": "IN_SERVICE",
        "CreationTime": 1592411992203,
        "Weight": 0.5,
        "Enabled": True,
        "Reason": None,
        "Note": "",
        "Tags": {},
        "ProductionVariants": [{"VariantName": "a", "CurrentWeight": 1}, {"VariantName": "b", "CurrentWeight": 3}],
    },
}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"source": ["aws.sagemaker"]}, True),
        ({"source": ["aws.s3", "aws.sagemaker"]}, True),
        ({"source": ["AWS.SageMaker"]}, False),
        ({"source": ["aws.sagemaker"], "detail": {"EndpointStatus": ["FAILED"]}}, False),
        ({"source": [{"prefix": "aws."}]}, True),
        ({"source": [{"prefix": {"equals-ignore-case": "AWS."}}]}, True),
        ({"source": [{"suffix": "maker"}]}, True),
        ({"source": [{"wildcard": "aws.*mak*"}]}, True),
        ({"source": [{"wildcard": "*.s3"}]}, False),
        ({"resources": [{"wildcard": "*:endpoint/fraud"}]}, True),
        ({"resources": ["arn:aws:sagemaker:us-east-1:000000000000:endpoint/fraud"]}, True),
        ({"detail": {"EndpointStatus": [{"equals-ignore-case": "in_service"}]}}, True),
        ({"detail": {"EndpointStatus": [{"anything-but": "FAILED"}]}}, True),
        ({"detail": {"EndpointStatus": [{"anything-but": ["FAILED", "IN_SERVICE"]}]}}, False),
        ({"detail": {"EndpointStatus": [{"anything-but": {"prefix": "IN_"}}]}}, False),
        ({"detail": {"EndpointStatus": [{"anything-but": {"suffix": ["ED", "ING"]}}]}}, True),
        ({"detail": {"FailureReason": [{"anything-but": "x"}]}}, False),
        ({"detail": {"CreationTime": [1592411992203]}}, True),
        ({"detail": {"CreationTime": ["1592411992203"]}}, False),
        ({"detail": {"Weight": [{"numeric": [">", 0, "<=", 0.5]}]}}, True),
        ({"detail": {"Weight": [{"numeric": ["=", 1]}]}}, False),
        ({"detail": {"Enabled": [True]}}, True),
        ({"detail": {"Enabled": [1]}}, False),
        ({"detail": {"Enabled": [{"numeric": [">", 0]}]}}, False),
        ({"detail": {"Reason": [None]}}, True),
        ({"detail": {"Note": [""]}}, True),
        ({"detail": {"FailureReason": [None]}}, False),
        ({"detail": {"FailureReason": [{"exists": False}]}}, True),
        ({"detail": {"EndpointStatus": [{"exists": False}]}}, False),
        ({"detail": {"EndpointStatus": [{"exists": True}]}}, True),
        ({"detail": {"Absent": {"Deeper": [{"exists": False}]}}}, True),
        ({"detail": {"ProductionVariants": {"VariantName": ["b"], "CurrentWeight": [3]}}}, True),
        ({"detail": {"ProductionVariants": {"VariantName": ["a"], "CurrentWeight": [3]}}}, False),
        ({"$or": [{"source": ["aws.s3"]}, {"detail": {"EndpointStatus": ["IN_SERVICE"]}}]}, True),
        ({"$or": [{"source": ["aws.s3"]}, {"detail": {"EndpointStatus": ["FAILED"]}}]}, False),
    ],
)
def test_patterns_match_as_documented(pattern: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    assert matches(pattern, EVENT) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        [],
        {"source": "aws.sagemaker"},
        {"source": [{"prefix": "a", "suffix": "b"}]},
        {"source": [{"cidr": "10.0.0.0/24"}]},
        {"source": [{"prefix": 3}]},
        {"detail": {"Weight": [{"numeric": ["!", 1]}]}},
    ],
)
def test_a_pattern_that_cannot_be_understood_is_refused(pattern: Any) -> None:
    with pytest.raises(PatternError):
        matches(pattern, EVENT)
