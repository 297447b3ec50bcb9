"""AWS JSON 1.1 as the stand-in speaks it: AWS's own wording for what botocore's client lets through."""

import json
import socket
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml_platform.core.settings import Settings
from ml_platform.local_sagemaker.operations import IMPLEMENTED
from ml_platform.local_sagemaker.protocol import service_model
from tests.contract.sagemaker_requests import training_job, unique


@pytest.fixture
def unchecked(sagemaker_settings: Settings) -> Any:
    """A client that sends what it is given: the service has to refuse it."""
    return boto3.client("sagemaker", config=Config(parameter_validation=False, retries={"total_max_attempts": 1}))


def post(url: str, operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=30)
    with closing(connection):
        connection.request("POST", "/", body, {"X-Amz-Target": f"SageMaker.{operation}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def refusal(call: Any, **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**request)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_pattern_is_checked_with_awss_words(unchecked: Any) -> None:
    code, message = refusal(unchecked.describe_model, ModelName="bad_name!")
    assert code == "ValidationException"
    assert message == (
        "1 validation error detected: Value 'bad_name!' at 'modelName' failed to satisfy constraint: Member must "
        r"satisfy regular expression pattern: [a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?"
    )


def test_all_broken_rules_are_listed_at_once(unchecked: Any, sagemaker_settings: Settings) -> None:
    request = training_job(sagemaker_settings.bucket, unique("bad"))
    request["ResourceConfig"] |= {"InstanceType": "ml.none", "InstanceCount": -1}
    del request["RoleArn"]
    code, message = refusal(unchecked.create_training_job, **request)
    assert code == "ValidationException"
    assert message.startswith("3 validation errors detected: ")
    assert "Value null at 'roleArn' failed to satisfy constraint: Member must not be null" in message
    assert (
        "Value 'ml.none' at 'resourceConfig.instanceType' failed to satisfy constraint: Member must satisfy" in message
    )
    assert (
        "Value '-1' at 'resourceConfig.instanceCount' failed to satisfy constraint: Member must have value" in message
    )


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        ({"HyperParameters": {"k" * 300: "v"}}, "Map keys must satisfy constraint: [Member must have length less"),
        ({"HyperParameters": {"k": "v" * 3000}}, "Map value must satisfy constraint: [Member must have length less"),
        (
            {"Tags": [{"Key": "", "Value": "x"}]},
            "at 'tags.1.member.key' failed to satisfy constraint: Member must have",
        ),
        ({"TrainingJobName": "a" * 64}, "at 'trainingJobName' failed to satisfy constraint: Member must"),
        ({"TrainingJobName": "../../etc"}, "Member must satisfy regular expression pattern"),
    ],
)
def test_nested_rules_name_their_place(
    unchecked: Any, sagemaker_settings: Settings, request_body: dict[str, Any], expected: str
) -> None:
    request = training_job(sagemaker_settings.bucket, unique("bad")) | request_body
    code, message = refusal(unchecked.create_training_job, **request)
    assert code == "ValidationException"
    assert expected in message


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", "not JSON"),
        (b"[1]", "can not be converted to a Structure"),
        (b'{"TrainingJobName": 5}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"TrainingJobName": true}', "TRUE_VALUE can not be converted to a String"),
        (b"\xff\xfe\x00", "not JSON"),
        (b'{"a":' * 100_000, "not JSON"),
        (b'{"TrainingJobName": NaN}', "not JSON"),
    ],
)
def test_a_body_of_the_wrong_form_is_a_serialization_error(stand_in: str, body: bytes, expected: str) -> None:
    status, answer = post(stand_in, "DescribeTrainingJob", body)
    assert (status, answer["__type"]) == (400, "SerializationException")
    assert expected in answer["message"]


def test_an_operation_the_stand_in_lacks_is_named(stand_in: str) -> None:
    status, answer = post(stand_in, "CreateDomain", b"{}")
    assert (status, answer["__type"]) == (400, "UnknownOperationException")
    assert "does not implement CreateDomain" in answer["message"]
    status, answer = post(stand_in, "MakeCoffee", b"{}")
    assert (status, answer["message"]) == (400, "SageMaker has no operation 'MakeCoffee'.")


def test_a_request_to_another_name_than_loopback_is_refused(stand_in: str) -> None:
    connection = HTTPConnection(stand_in.removeprefix("http://"), timeout=30)
    with closing(connection):
        connection.request("POST", "/", b"{}", {"X-Amz-Target": "SageMaker.ListModels", "Host": "attacker.example:80"})
        assert connection.getresponse().status == 403


def test_half_a_request_is_none(stand_in: str, unchecked: Any) -> None:
    name = unique("half")
    body = json.dumps({"ModelPackageGroupName": name}).encode()
    host, port = stand_in.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        head = f"POST / HTTP/1.1\r\nHost: {host}\r\nX-Amz-Target: SageMaker.CreateModelPackageGroup\r\n"
        connection.sendall(f"{head}Content-Length: {len(body) + 1}\r\n\r\n".encode() + body)
    assert refusal(unchecked.describe_model_package_group, ModelPackageGroupName=name)[0] == "ValidationException"


def test_lists_page_in_order_and_refuse_a_forged_token(unchecked: Any, sagemaker_settings: Settings) -> None:
    prefix = unique("paged")
    names = [f"{prefix}-{number}" for number in range(5)]
    for name in names:
        unchecked.create_model_package_group(ModelPackageGroupName=name)
    pages = list(
        unchecked.get_paginator("list_model_package_groups").paginate(
            NameContains=prefix.upper(), SortBy="Name", SortOrder="Descending", PaginationConfig={"PageSize": 2}
        )
    )
    assert [len(page["ModelPackageGroupSummaryList"]) for page in pages] == [2, 2, 1]
    found = [group["ModelPackageGroupName"] for page in pages for group in page["ModelPackageGroupSummaryList"]]
    assert found == names[::-1]
    middle = pages[1]["ModelPackageGroupSummaryList"][0]["CreationTime"]
    later = unchecked.list_model_package_groups(NameContains=prefix, CreationTimeAfter=middle)
    assert len(later["ModelPackageGroupSummaryList"]) >= 2
    for token in ("forged", "W10=", "bnVsbA=="):
        assert refusal(unchecked.list_model_package_groups, NextToken=token)[0] == "ValidationException"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


SIMPLE = {
    "integer": st.integers(-2, 200),
    "long": st.integers(-2, 200),
    "boolean": st.booleans(),
    **dict.fromkeys(("float", "double", "timestamp"), st.floats(allow_nan=False, allow_infinity=False)),
}


def values_of(shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of a member's type that may still break its rules; deep structures are cut."""
    kind = shape.type_name
    if kind in SIMPLE:
        return SIMPLE[kind]
    if kind == "structure":
        members = {} if depth > 3 else {name: values_of(member, depth + 1) for name, member in shape.members.items()}
        required = {name: members.pop(name) for name in shape.required_members if name in members}
        return st.fixed_dictionaries(required, optional=members)
    if kind == "list":
        return st.lists(values_of(shape.member, depth + 1), max_size=2)
    if kind == "map":
        return st.dictionaries(values_of(shape.key), values_of(shape.value, depth + 1), max_size=2)
    return st.sampled_from(shape.enum) if getattr(shape, "enum", None) else NAMES | st.text(max_size=30)


NAMES = st.sampled_from(["a", "s3://b/c", "arn:aws:iam::000000000000:role/x", "$", "x/y:1", "a" * 64])


def requests_of(operation: str) -> st.SearchStrategy[dict[str, Any]]:
    shape = service_model().operation_model(operation).input_shape
    return values_of(shape) | st.fixed_dictionaries({}, optional=dict.fromkeys(shape.members, JSON))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), operation=st.sampled_from(sorted(IMPLEMENTED)))
def test_no_request_makes_the_stand_in_fail(stand_in: str, data: st.DataObject, operation: str) -> None:
    body = json.dumps(data.draw(requests_of(operation))).encode(errors="surrogatepass")
    status, answer = post(stand_in, operation, body)
    assert status in (200, 400)
    assert answer.get("__type") != "InternalFailure"
