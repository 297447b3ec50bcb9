"""A server's options come from SageMaker's variables, and an unusable one stops the start."""

import pytest

from ml_platform.containers.serving.options import ServerOptions
from ml_platform.core.errors import ConfigurationError
from ml_platform.modeling.contract import CSV


def test_without_variables_the_server_listens_on_loopback() -> None:
    assert ServerOptions.from_environment({}) == ServerOptions("127.0.0.1", 8080, 25 * 2**20, "application/json")


def test_sagemakers_variables_are_honoured() -> None:
    options = ServerOptions.from_environment(
        {
            "SAGEMAKER_BIND_HOST": "0.0.0.0",  # noqa: S104 - what the image sets
            "SAGEMAKER_BIND_TO_PORT": "9000",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6",
            "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": CSV,
        }
    )
    assert options == ServerOptions("0.0.0.0", 9000, 6 * 2**20, CSV)  # noqa: S104


def test_a_payload_of_any_length_still_has_a_bound() -> None:
    assert ServerOptions.from_environment({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}).max_payload_bytes == 1024 * 2**20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "http"),
        ("SAGEMAKER_BIND_TO_PORT", "0"),
        ("SAGEMAKER_BIND_TO_PORT", "65536"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "-1"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "six"),
        ("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "image/png"),
    ],
)
def test_an_unusable_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        ServerOptions.from_environment({name: value})
