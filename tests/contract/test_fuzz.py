"""Whatever is asked, in whatever shape: an answer within seconds, never a failure inside, nothing by halves."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ml_platform.core.settings import Settings
from ml_platform.local_sagemaker.operations import IMPLEMENTED
from ml_platform.local_sagemaker.protocol import service_model
from tests.contract.fuzzed_requests import KNOWN, ROLE, broken_requests, valid_requests
from tests.contract.hosting_account import IMAGE, Account, register_image
from tests.contract.sagemaker_requests import unique

SECONDS = 5
FUZZ: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "phases": (Phase.explicit, Phase.generate),
    "suppress_health_check": list(HealthCheck),
}
CLOUDWATCH = service_model("cloudwatch")


def members_of(operation: str) -> Any:
    return service_model().operation_model(operation).input_shape.members


def created_kinds() -> Iterator[tuple[str, str, str]]:
    """Every kind that can be created, described and listed by name: operation suffix, list operation, name member."""
    for create in sorted(IMPLEMENTED):
        kind = create.removeprefix("Create")
        if create != kind and {f"Describe{kind}", f"List{kind}s"} <= set(IMPLEMENTED):
            member = f"{kind}Name"
            named = member in members_of(create) and "NameContains" in members_of(f"List{kind}s")
            if named and kind != "ModelPackage":
                yield kind, f"List{kind}s", member


class Fuzzed:
    """A signed client that sends any JSON, and remembers nothing."""

    def __init__(self, address: str, service: str = "sagemaker") -> None:
        config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, read_timeout=SECONDS)
        self.client: Any = boto3.client(service, endpoint_url=address, config=config)
        self.body: bytes | None = None
        self.client.meta.events.register("before-call.sagemaker", self._replace_body)

    def _replace_body(self, params: dict[str, Any], **_: Any) -> None:
        # botocore itself stumbles over wrong types; the service must get to see them.
        if self.body is not None:
            params["body"] = self.body

    def ask(self, operation: str, request: Any) -> dict[str, Any] | None:
        """Return the answer; None for an error that the caller is to blame for."""
        self.body = json.dumps(request, ensure_ascii=False).encode()
        return self.call(operation, {})

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any] | None:
        method = next(name for name, api in self.client.meta.method_to_api_mapping.items() if api == operation)
        began = time.monotonic()
        answer = None
        try:
            answer = getattr(self.client, method)(**request)
        except ClientError as error:
            refused = error.response
            assert refused["ResponseMetadata"]["HTTPStatusCode"] < 500, refused
            assert refused["Error"]["Code"] not in ("InternalFailure", "Unknown"), refused
            assert refused["Error"]["Message"]
        assert time.monotonic() - began < SECONDS
        return answer


@pytest.fixture(scope="module")
def fuzzed(stand_in: str, images_file: Path) -> Fuzzed:
    """A client, and something to find under the name that requests know."""
    register_image(images_file)
    fuzzed = Fuzzed(stand_in)
    variant = {"VariantName": "v", "ModelName": KNOWN, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    fuzzed.ask("CreateModel", {"ModelName": KNOWN, "ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": IMAGE}})
    fuzzed.ask("CreateEndpointConfig", {"EndpointConfigName": KNOWN, "ProductionVariants": [variant]})
    fuzzed.ask("CreateModelPackageGroup", {"ModelPackageGroupName": KNOWN})
    assert fuzzed.ask("DescribeEndpointConfig", {"EndpointConfigName": KNOWN})
    return fuzzed


@pytest.mark.parametrize("operation", sorted(IMPLEMENTED))
def test_every_operation_answers_anything(fuzzed: Fuzzed, operation: str) -> None:
    shape = service_model().operation_model(operation).input_shape

    @settings(max_examples=8, **FUZZ)
    @given(request=valid_requests(shape) | broken_requests(shape))
    def answers(request: Any) -> None:
        fuzzed.ask(operation, request)

    answers()


@pytest.mark.parametrize(("kind", "listing", "member"), list(created_kinds()))
def test_what_is_refused_is_not_there_and_what_is_accepted_is(
    fuzzed: Fuzzed, kind: str, listing: str, member: str
) -> None:
    shape = service_model().operation_model(f"Create{kind}").input_shape

    @settings(max_examples=8, **FUZZ)
    @given(request=valid_requests(shape) | broken_requests(shape))
    def agree(request: Any) -> None:
        name = unique("fuzz")
        given = request | {member: name} if isinstance(request, dict) else {member: name}
        created = fuzzed.ask(f"Create{kind}", given) is not None
        described = fuzzed.ask(f"Describe{kind}", {member: name})
        page = fuzzed.ask(listing, {"NameContains": name})
        assert page is not None
        (listed,) = (value for key, value in page.items() if isinstance(value, list))
        assert ([item[member] for item in listed] == [name]) is created
        assert (described is not None) is created

    agree()


@pytest.mark.parametrize("operation", ["PutMetricData", "PutMetricAlarm", "GetMetricData", "GetMetricStatistics"])
def test_cloudwatch_answers_anything(stand_in: str, operation: str) -> None:
    fuzzed = Fuzzed(stand_in, "cloudwatch")

    @settings(max_examples=15, **FUZZ)
    @given(request=valid_requests(CLOUDWATCH.operation_model(operation).input_shape))
    def answers(request: Any) -> None:
        fuzzed.call(operation, request)

    answers()


def test_an_endpoint_answers_any_invocation(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> None:
    register_image(images_file)
    account = Account(stand_in, sagemaker_settings.bucket)
    endpoint = account.an_endpoint(account.a_config("fuzzed"))
    printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
    fuzzed = Fuzzed(stand_in, "sagemaker-runtime")

    @settings(max_examples=40, **FUZZ)
    @given(
        request=st.fixed_dictionaries(
            {"EndpointName": st.sampled_from([endpoint, "fuzz-absent", "..%2f..", "a b"]), "Body": st.binary()},
            optional=dict.fromkeys(
                ("ContentType", "Accept", "CustomAttributes", "TargetVariant", "InferenceId"), printable
            ),
        )
    )
    def answers(request: Any) -> None:
        fuzzed.call("InvokeEndpoint", request)

    answers()
    assert account.invoke(endpoint) == "fuzzed"


def test_an_asynchronous_endpoint_answers_any_request(
    sagemaker_settings: Settings, stand_in: str, images_file: Path
) -> None:
    register_image(images_file)
    account = Account(stand_in, sagemaker_settings.bucket)
    output = {"OutputConfig": {"S3OutputPath": f"s3://{account.bucket}/out"}}
    endpoint = account.an_endpoint(account.a_config("fuzzed", AsyncInferenceConfig=output))
    printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
    fuzzed = Fuzzed(stand_in, "sagemaker-runtime")
    texts = ("ContentType", "Accept", "CustomAttributes", "InferenceId", "S3OutputPathExtension", "Filename")
    members = dict.fromkeys(texts, printable) | {
        "InputLocation": st.sampled_from(["s3://", f"s3://{account.bucket}/absent", "https://a/b"]) | printable,
        "Body": st.binary(),
        "RequestTTLSeconds": st.integers(-1, 2**70),
        "InvocationTimeoutSeconds": st.integers(-1, 4000),
    }

    @settings(max_examples=40, **FUZZ)
    @given(
        request=st.fixed_dictionaries({"EndpointName": st.sampled_from([endpoint, "fuzz-absent"])}, optional=members)
    )
    def answers(request: Any) -> None:
        fuzzed.call("InvokeEndpointAsync", request)

    answers()
    assert account.describe(endpoint)["EndpointStatus"] == "InService"


@pytest.mark.parametrize(
    "operation", ["RegisterScalableTarget", "PutScalingPolicy", "PutScheduledAction", "DescribeScheduledActions"]
)
def test_auto_scaling_answers_anything(stand_in: str, operation: str) -> None:
    fuzzed = Fuzzed(stand_in, "application-autoscaling")
    shape = service_model("application-autoscaling").operation_model(operation).input_shape
    place = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/fuzz-absent/variant/v",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }

    @settings(max_examples=20, **FUZZ)
    @given(request=valid_requests(shape), placed=st.booleans())
    def answers(request: Any, placed: bool) -> None:  # noqa: FBT001 - drawn
        fuzzed.call(operation, request | place if placed else request)

    answers()


def test_a_stream_answers_any_invocation(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> None:
    register_image(images_file)
    account = Account(stand_in, sagemaker_settings.bucket)
    endpoint = account.an_endpoint(account.a_config("fuzzed"))
    printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
    fuzzed = Fuzzed(stand_in, "sagemaker-runtime")
    texts = ("ContentType", "Accept", "CustomAttributes", "TargetVariant", "InferenceId", "SessionId")

    @settings(max_examples=25, **FUZZ)
    @given(
        request=st.fixed_dictionaries(
            {"EndpointName": st.sampled_from([endpoint, "fuzz-absent", "a b"]), "Body": st.binary()},
            optional=dict.fromkeys(texts, printable),
        )
    )
    def answers(request: Any) -> None:
        answer = fuzzed.call("InvokeEndpointWithResponseStream", request)
        if answer is not None:
            assert b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"]) == b"fuzzed"

    answers()
